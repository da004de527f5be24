//! Builds one Containerfile with buildah and keeps the results as archives.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::ImageArchive;
use super::store::{Store, digest_of_files, digest_of_texts};
use crate::shell;

/// The bundle of certificates on Debian, in the image and on the machine that builds it.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Images and intermediate images in buildah's storage; one build makes up to a dozen.
const MOST_IMAGES: usize = 400;

/// A file of the build's context.
pub struct Input {
    name: &'static str,
    path: PathBuf,
    /// Whether the file's name in the cache already tells its content, so that it need not be read.
    named_by_content: bool,
}

impl Input {
    /// A small file whose content is read to know whether it changed.
    pub fn file(name: &'static str, path: PathBuf) -> Self {
        Self { name, path, named_by_content: false }
    }

    /// A file of the cache, named after its content.
    pub fn cached(name: &'static str, path: PathBuf) -> Self {
        Self { name, path, named_by_content: true }
    }

    /// A compiled program without its debug information.
    pub fn program(name: &'static str, compiled: PathBuf, store: &Store) -> Result<Self> {
        let stripped = store.file(name, &digest_of_files(&[&compiled])?, "bin");
        store.once(&stripped, |draft| {
            let mut command = shell::command("strip", ["-o"]);
            command.arg(draft).arg(&compiled);
            shell::output(&mut command).map(|_| ())
        })?;
        Ok(Self { name, path: stripped, named_by_content: true })
    }

    fn fingerprint(&self) -> Result<String> {
        match self.path.file_name().and_then(|name| name.to_str()) {
            Some(name) if self.named_by_content => Ok(name.to_owned()),
            _ => digest_of_files(&[&self.path]),
        }
    }
}

/// One Containerfile, its context, and the images made of it.
pub struct Build {
    /// Short name, of the archives as well.
    pub name: &'static str,
    /// The recipe.
    pub containerfile: PathBuf,
    /// Everything that the recipe copies.
    pub inputs: Vec<Input>,
    /// Stage of the recipe (the last one when there is no name) and reference of each image.
    pub targets: Vec<(Option<&'static str>, &'static str)>,
}

impl Build {
    /// The images; built when the cache does not have them.
    pub fn ensure(&self, store: &Store, report: &dyn Fn(&str)) -> Result<Vec<ImageArchive>> {
        let digest = self.digest()?;
        self.targets
            .iter()
            .map(|(target, reference)| self.image(&digest, *target, reference, store, report))
            .collect()
    }

    fn digest(&self) -> Result<String> {
        let mut texts = vec![digest_of_files(&[&self.containerfile])?];
        for input in &self.inputs {
            texts.push(input.fingerprint()?);
        }
        Ok(digest_of_texts(texts.iter().map(String::as_str)))
    }

    fn image(
        &self,
        digest: &str,
        target: Option<&str>,
        reference: &str,
        store: &Store,
        report: &dyn Fn(&str),
    ) -> Result<ImageArchive> {
        let tag = reference.rsplit('/').next().unwrap_or(reference).replace(':', "-");
        let archive = store.file(&tag, digest, "tar");
        store.once(&archive, |draft| {
            report(&format!("building {reference}"));
            let _one_at_a_time = store.lock(Path::new("buildah"))?;
            let context = self.context(store)?;
            let buildah = Buildah::new(store, &context);
            let built =
                buildah.build(&self.containerfile, target).and_then(|id| buildah.push(&id, draft, reference));
            fs::remove_dir_all(&context).ok();
            built.with_context(|| format!("cannot build {reference} from {}", self.containerfile.display()))
        })?;
        Ok(ImageArchive { reference: reference.to_owned(), digest: configuration(&archive)?, archive })
    }

    /// A folder with exactly the inputs; hard links where they are in the same file system.
    fn context(&self, store: &Store) -> Result<PathBuf> {
        let folder = store.folder(&format!("context-{}", self.name));
        // One build runs at a time, so what is there was left by one that was killed.
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for input in &self.inputs {
            let place = folder.join(input.name);
            if !input.named_by_content || fs::hard_link(&input.path, &place).is_err() {
                fs::copy(&input.path, &place)
                    .with_context(|| format!("cannot copy {}", input.path.display()))?;
            }
        }
        Ok(folder)
    }
}

/// buildah with a storage of our own. Its mounts are in a private mount namespace, so none outlives it, and its
/// record of mounts is a folder of this one build, so none is believed to be there by the next.
struct Buildah {
    root: PathBuf,
    run: PathBuf,
    context: PathBuf,
    driver: &'static str,
}

impl Buildah {
    fn new(store: &Store, context: &Path) -> Self {
        let run = context.with_extension("run");
        let mut buildah =
            Self { root: store.folder("buildah"), run, context: context.to_owned(), driver: "overlay" };
        // A file system that cannot carry overlays gets a whole copy of each layer instead.
        if shell::output(buildah.command().arg("info")).is_err() {
            buildah.root = store.folder("buildah-vfs");
            buildah.driver = "vfs";
        }
        // Every build leaves its layers for the next one; now and then all of it goes, which costs one slow build.
        let images = buildah.root.join(format!("{}-images", buildah.driver));
        if fs::read_dir(images).is_ok_and(|entries| entries.count() > MOST_IMAGES) {
            fs::remove_dir_all(&buildah.root).ok();
        }
        buildah
    }

    fn command(&self) -> Command {
        let mut command = shell::command("unshare", ["--mount", "--propagation", "private", "buildah"]);
        command.arg("--root").arg(&self.root).arg("--runroot").arg(&self.run);
        command.args(["--storage-driver", self.driver]);
        command
    }

    /// Builds and returns the id of the image. Layers of earlier builds are used again.
    fn build(&self, containerfile: &Path, target: Option<&str>) -> Result<String> {
        let id = self.context.with_extension("id");
        let mut command = self.command();
        command.args([
            "build",
            "--quiet",
            "--isolation",
            "chroot",
            "--layers",
            "--format",
            "docker",
            "--iidfile",
        ]);
        command.arg(&id).arg("--file").arg(containerfile);
        if let Some(target) = target {
            command.args(["--target", target]);
        }
        // Steps that reach a package registry trust whom this machine trusts, and ask where it asks.
        if Path::new(CERTIFICATES).exists() {
            command.arg("--volume").arg(format!("{CERTIFICATES}:{CERTIFICATES}:ro"));
        }
        if let Ok(index) = std::env::var("PIP_INDEX_URL") {
            command.arg("--build-arg").arg(format!("PIP_INDEX_URL={index}"));
        }
        command.arg(&self.context);
        shell::output(&mut command)?;
        let text = fs::read_to_string(&id).with_context(|| format!("buildah left no {}", id.display()))?;
        fs::remove_file(&id).ok();
        Ok(text.trim().to_owned())
    }

    fn push(&self, id: &str, archive: &Path, reference: &str) -> Result<()> {
        let mut command = self.command();
        command
            .args(["push", "--quiet", id])
            .arg(format!("docker-archive:{}:{reference}", archive.display()));
        shell::output(&mut command).map(|_| ())
    }
}

impl Drop for Buildah {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.run).ok();
    }
}

/// Digest of the image's configuration: the archive's manifest names the file after it.
fn configuration(archive: &Path) -> Result<String> {
    let mut command = shell::command("tar", ["-xOf"]);
    command.arg(archive).arg("manifest.json");
    let manifest = shell::output(&mut command)?;
    digest_in(&manifest).with_context(|| {
        format!("{} has no usable manifest.json: remove it and run this again", archive.display())
    })
}

fn digest_in(manifest: &str) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_str(manifest).ok()?;
    let name = manifest[0]["Config"].as_str()?.trim_end_matches(".json");
    Some(format!("sha256:{}", name.rsplit('/').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_comes_from_the_manifest() {
        let manifest = r#"[{"Config":"0123abcd.json","RepoTags":["localhost/x:dev"],"Layers":["l.tar"]}]"#;
        assert_eq!(digest_in(manifest).as_deref(), Some("sha256:0123abcd"));
        assert_eq!(digest_in("[]"), None);
    }
}
