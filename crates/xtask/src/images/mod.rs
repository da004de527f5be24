//! The images of this repository: pause, database instance, operator and operator with tools.
//!
//! Each has a Containerfile under `images/` that any engine can build. Here Debian's `buildah` builds them,
//! without daemon and registry, on base trees that `mmdebstrap` makes of Debian's packages. Base trees and
//! finished archives are cached once per machine under names that follow from what went into them.

mod base;
pub mod binaries;
mod builder;
mod debian;
mod store;

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use anyhow::{Context, Result, bail};

use crate::checkout::Checkout;
use crate::shell;
use builder::{Build, Input};
use store::Store;

/// An image as a `docker-archive` file, ready to be imported.
#[derive(Debug, Clone)]
pub struct ImageArchive {
    /// Name and tag inside the archive.
    pub reference: String,
    /// The archive.
    pub archive: PathBuf,
    /// Digest of the image's configuration (`sha256:…`), which container runtimes show as the image's id.
    pub digest: String,
}

/// Builds what is missing, from the sources of this checkout, and returns all images. `report` gets one line
/// for each piece of work that takes more than a moment.
///
/// # Errors
/// Names the program that failed with its last words, or the package that is missing with the command that
/// installs it.
pub fn ensure(report: &dyn Fn(&str)) -> Result<Vec<ImageArchive>> {
    for (program, package) in
        [("buildah", "buildah"), ("mmdebstrap", "mmdebstrap"), ("cc", "gcc"), ("strip", "binutils")]
    {
        if !shell::is_installed(program) {
            bail!("{program} is not installed, and building the images needs it: apt-get install {package}");
        }
    }
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "building images here needs root: run the command with sudo, or build the Containerfiles under images/ with your own engine and use `cargo xtask up --context NAME`"
        );
    }
    let checkout = Checkout::find()?;
    let store = Store::open()?;
    // The compiler keeps the processor busy while the base trees wait for the network. The instance comes first,
    // so that an operator that does not compile holds up nothing else.
    std::thread::scope(|scope| {
        let compiling = scope.spawn(|| {
            (
                binaries::build(&checkout.root, "matriarch-instance"),
                binaries::build(&checkout.root, "matriarch"),
            )
        });
        let mut archives = vec![pause(&checkout.root, &store, report)?];
        let bases = Bases::make(&checkout.root, &store, report)?;
        report("compiling the operator and the instance's entry point");
        let Ok((entry_point, binary)) = compiling.join() else {
            bail!("the compilation of the binaries was interrupted: run the command again")
        };
        archives.extend(instance(&checkout.root, &store, &bases, entry_point?, report)?);
        archives.extend(operator(&checkout.root, &store, &bases, binary?, report)?);
        Ok(archives)
    })
}

/// `cargo xtask images`: builds what is missing and prints one line per image.
///
/// # Errors
/// As [`ensure`].
pub fn run() -> Result<()> {
    let archives = ensure(&|line| eprintln!("images: {line}"))?;
    for image in archives {
        let size = std::fs::metadata(&image.archive).map(|meta| meta.len() / 1_000_000).unwrap_or_default();
        println!("{} {} {size} MB {}", image.reference, image.digest, image.archive.display());
    }
    Ok(())
}

/// The base trees as tar files.
struct Bases {
    instance: PathBuf,
    operator: PathBuf,
    tools: PathBuf,
}

impl Bases {
    /// Makes the missing ones at the same time: each waits for the network most of its time.
    fn make(root: &Path, store: &Store, report: &dyn Fn(&str)) -> Result<Self> {
        let mirror = debian::mirror()?;
        let recipes = [base::instance(root)?, base::operator(root)?, base::tools(root)?];
        let (sender, lines) = mpsc::channel::<String>();
        let [instance, operator, tools] = std::thread::scope(|scope| {
            let running = recipes.each_ref().map(|recipe| {
                let (sender, mirror) = (sender.clone(), &mirror);
                scope.spawn(move || {
                    base::ensure(recipe, mirror, store, &|line| drop(sender.send(line.to_owned())))
                })
            });
            drop(sender);
            lines.iter().for_each(|line| report(&line));
            running.map(|thread| {
                thread.join().unwrap_or_else(|_| bail!("a base tree was interrupted: run the command again"))
            })
        });
        Ok(Self { instance: instance?, operator: operator?, tools: tools? })
    }
}

fn pause(root: &Path, store: &Store, report: &dyn Fn(&str)) -> Result<ImageArchive> {
    let folder = root.join("images/pause");
    let program = store.file("pause", &store::digest_of_files(&[&folder.join("pause.c")])?, "bin");
    store.once(&program, |draft| {
        let mut command = shell::command("cc", ["-static", "-Os", "-s", "-o"]);
        command.arg(draft).arg(folder.join("pause.c"));
        shell::output(&mut command)
            .map(|_| ())
            .context("cannot compile pause.c: apt-get install gcc libc6-dev")
    })?;
    let mut images = Build {
        name: "pause",
        containerfile: folder.join("Containerfile"),
        inputs: vec![Input::file("pause", program)],
        targets: vec![(None, "localhost/matriarch/pause:dev")],
    }
    .ensure(store, report)?;
    images.pop().context("buildah made no pause image")
}

fn instance(
    root: &Path,
    store: &Store,
    bases: &Bases,
    program: PathBuf,
    report: &dyn Fn(&str),
) -> Result<Vec<ImageArchive>> {
    let folder = root.join("images/instance");
    Build {
        name: "instance",
        containerfile: folder.join("Containerfile"),
        inputs: vec![
            Input::cached("base.tar", bases.instance.clone()),
            Input::file("requirements.txt", folder.join("requirements.txt")),
            Input::program("matriarch-instance", program, store)?,
        ],
        targets: vec![(None, "localhost/matriarch/instance:dev")],
    }
    .ensure(store, report)
}

fn operator(
    root: &Path,
    store: &Store,
    bases: &Bases,
    program: PathBuf,
    report: &dyn Fn(&str),
) -> Result<Vec<ImageArchive>> {
    Build {
        name: "operator",
        containerfile: root.join("images/operator/Containerfile"),
        inputs: vec![
            Input::cached("base.tar", bases.operator.clone()),
            Input::cached("tools.tar", bases.tools.clone()),
            Input::program("matriarch", program, store)?,
        ],
        targets: vec![
            (Some("operator"), "localhost/matriarch/operator:dev"),
            (Some("tools"), "localhost/matriarch/operator:dev-tools"),
        ],
    }
    .ensure(store, report)
}
