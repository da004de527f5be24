//! Base trees of Debian packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::store::{Store, digest_of_texts};
use crate::shell;

/// How one tree is made. Everything in it goes into the name of the result.
pub struct Recipe {
    name: &'static str,
    /// What mmdebstrap installs besides the list: `minbase` is a small Debian, `extract` only unpacks.
    variant: &'static str,
    /// Newest first: packages of older suites come in beside it, never the other way round (C library).
    suites: &'static [&'static str],
    packages: Vec<String>,
    /// Script that runs before the packages are installed, and its text.
    setup: Option<(PathBuf, String)>,
    /// Script that runs afterwards, and its text.
    finish: (PathBuf, String),
}

/// Major versions of PostgreSQL, one per suite.
const MAJORS: [u32; 3] = [15, 17, 18];

/// Extensions that the contract preloads or allows and that Debian has for every major version here.
const EXTENSIONS: [&str; 4] = ["cron", "pg-stat-kcache", "pgextwlist", "set-user"];

/// Files that a container never reads. LLVM is a third of a PostgreSQL installation and serves only `jit`,
/// which switches itself off when its library is not there.
const LEFT_OUT: [&str; 11] = [
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
    "/usr/share/bash-completion/*",
    "/usr/lib/llvm*",
    "/usr/lib/*/libLLVM*",
    "/usr/lib/*/libz3*",
    "/usr/lib/postgresql/*/lib/llvmjit*",
    "/usr/lib/postgresql/*/lib/bitcode/*",
];

/// Debian with PostgreSQL 15 (bookworm), 17 (trixie) and 18 (forky) side by side.
pub fn instance(root: &Path) -> Result<Recipe> {
    let folder = root.join("images/instance");
    let mut packages: Vec<String> =
        ["ca-certificates", "curl", "locales", "python3", "python3-venv", "tzdata"]
            .map(String::from)
            .to_vec();
    for major in MAJORS {
        packages.push(format!("postgresql-{major}"));
        packages.extend(EXTENSIONS.map(|extension| format!("postgresql-{major}-{extension}")));
    }
    Ok(Recipe {
        name: "instance-base",
        variant: "minbase",
        suites: &["forky", "trixie", "bookworm"],
        packages,
        setup: Some(script(folder.join("setup.sh"))?),
        finish: script(folder.join("base.sh"))?,
    })
}

/// C library, certificates and name resolution.
pub fn operator(root: &Path) -> Result<Recipe> {
    Ok(Recipe {
        name: "operator-base",
        variant: "extract",
        suites: &["trixie"],
        packages: ["ca-certificates", "libc6", "libgcc-s1"].map(String::from).to_vec(),
        setup: None,
        finish: script(root.join("images/operator/base.sh"))?,
    })
}

/// A shell, curl and wget with their libraries, to be laid over the operator's tree.
pub fn tools(root: &Path) -> Result<Recipe> {
    Ok(Recipe {
        name: "operator-tools",
        variant: "extract",
        suites: &["trixie"],
        packages: ["busybox", "curl", "wget"].map(String::from).to_vec(),
        setup: None,
        finish: script(root.join("images/operator/tools.sh"))?,
    })
}

fn script(path: PathBuf) -> Result<(PathBuf, String)> {
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((path, text))
}

/// The tar file of the recipe's tree; made when the cache does not have it.
pub fn ensure(recipe: &Recipe, mirror: &str, store: &Store, report: &dyn Fn(&str)) -> Result<PathBuf> {
    let path = store.file(recipe.name, &recipe.digest(), "tar");
    store.once(&path, |draft| {
        report(&format!("{}: {} packages from {mirror} (a minute or two)", recipe.name, recipe.packages.len()));
        let log = store.folder(&format!("{}.log", recipe.name));
        let mut command = shell::command("mmdebstrap", recipe.arguments(mirror, draft));
        let file = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let status = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).status().context("cannot run mmdebstrap")?;
        if !status.success() {
            let words = shell::last_lines(&String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()), 12);
            bail!("cannot make the base tree {}: mmdebstrap ended with {status}. Check that {mirror} answers. The end of {}:\n{words}", recipe.name, log.display());
        }
        Ok(())
    })?;
    Ok(path)
}

impl Recipe {
    /// The mirror is no part of it: the packages are Debian's wherever they come from. The number stands for what
    /// the code below adds: raise it with a change there.
    fn digest(&self) -> String {
        let mut texts: Vec<&str> = vec![self.name, self.variant];
        texts.extend(self.suites);
        texts.extend(self.packages.iter().map(String::as_str));
        texts.push("2");
        texts.extend(LEFT_OUT);
        texts.extend(self.setup.iter().map(|(_, text)| text.as_str()));
        texts.push(&self.finish.1);
        digest_of_texts(texts)
    }

    fn arguments(&self, mirror: &str, out: &Path) -> Vec<String> {
        let mut arguments = vec![
            format!("--variant={}", self.variant),
            // Release files of a suite in motion are short-lived, and a mirror may lag behind.
            "--aptopt=Acquire::Check-Valid-Until \"false\"".to_owned(),
            "--aptopt=APT::Install-Recommends \"false\"".to_owned(),
        ];
        arguments.extend(LEFT_OUT.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
        arguments.extend(self.setup.iter().map(|(path, _)| format!("--essential-hook={}", hook(path))));
        // A tree that is only unpacked has no later stage, and nothing in it that could be cleaned up by itself.
        if self.variant == "extract" {
            arguments.push(format!("--extract-hook={}", hook(&self.finish.0)));
            arguments.push("--skip=cleanup/apt,cleanup/mmdebstrap,output/dev".to_owned());
        } else {
            arguments.push(format!("--customize-hook={}", hook(&self.finish.0)));
            arguments.push("--skip=output/dev".to_owned());
        }
        arguments.push(format!("--include={}", self.packages.join(",")));
        arguments.push(self.suites[0].to_owned());
        arguments.push(out.display().to_string());
        arguments.extend(self.suites.iter().map(|suite| format!("deb {mirror} {suite} main")));
        arguments
    }
}

/// mmdebstrap gives the tree as the hook's first argument when the hook is a line for the shell.
fn hook(script: &Path) -> String {
    format!("sh '{}' \"$1\"", script.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            name: "thing",
            variant: "minbase",
            suites: &["forky", "trixie"],
            packages: vec!["one".into(), "two".into()],
            setup: None,
            finish: ("/a path/it's.sh".into(), "true".into()),
        }
    }

    #[test]
    fn the_newest_suite_leads_and_paths_are_quoted() {
        let arguments = recipe().arguments("http://m/debian", Path::new("/out.tar"));
        assert_eq!(
            arguments[arguments.len() - 7..],
            [
                "--customize-hook=sh '/a path/it'\\''s.sh' \"$1\"",
                "--skip=output/dev",
                "--include=one,two",
                "forky",
                "/out.tar",
                "deb http://m/debian forky main",
                "deb http://m/debian trixie main",
            ]
        );
    }

    #[test]
    fn the_text_of_a_script_is_part_of_the_name_and_its_place_is_not() {
        let before = recipe().digest();
        let mut moved = recipe();
        moved.finish.0 = "/elsewhere.sh".into();
        assert_eq!(moved.digest(), before);
        let mut changed = recipe();
        changed.finish.1 = "false".into();
        assert_ne!(changed.digest(), before);
    }
}
