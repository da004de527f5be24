//! Images into the nodes, and programs into the namespaces of the cluster.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::checkout::{Checkout, hex};
use crate::cluster::Cluster;
use crate::images::ImageArchive;
use crate::progress::{Progress, Stage};
use crate::{files, network, register, shell, up};

/// Imports every archive into every node that does not have its digest.
pub fn archives(
    checkout: &Checkout,
    cluster: &Cluster,
    images: &[ImageArchive],
    stage: &Stage,
) -> Result<()> {
    let whole = images.len() * cluster.nodes;
    let done = AtomicUsize::new(0);
    // Threads say what they did through a channel: the stage speaks from one thread.
    let (finished, lines) = std::sync::mpsc::channel::<String>();
    thread::scope(|scope| {
        let nodes: Vec<_> = (1..=cluster.nodes)
            .map(|number| {
                let (finished, done) = (finished.clone(), &done);
                scope.spawn(move || -> Result<()> {
                    for image in images {
                        let imported = ensure(checkout, &network::node_name(number), image)?;
                        let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                        if imported {
                            finished.send(format!("{count} of {whole} images: {}", image.reference)).ok();
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        drop(finished);
        lines.iter().for_each(|line| stage.say(&line));
        nodes.into_iter().try_for_each(|node| node.join().unwrap_or_else(|_| bail!("an import panicked")))
    })
}

/// Imports given files under their own names: `cargo xtask import`.
pub fn files(archives: &[PathBuf]) -> Result<()> {
    let checkout = Checkout::find()?;
    let cluster =
        up::running(&checkout)?.context("no local cluster is running: run `cargo xtask up` first")?;
    let images: Vec<ImageArchive> = archives.iter().map(|path| described(path)).collect::<Result<_>>()?;
    Progress::new().stage("import", |stage| self::archives(&checkout, &cluster, &images, stage))
}

fn described(path: &Path) -> Result<ImageArchive> {
    let mut digest = Sha256::new();
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    std::io::copy(&mut file, &mut digest)?;
    Ok(ImageArchive {
        reference: path.display().to_string(),
        archive: path.canonicalize()?,
        digest: hex(&digest.finalize()),
    })
}

/// False when the node has it already.
fn ensure(checkout: &Checkout, node: &str, image: &ImageArchive) -> Result<bool> {
    let name = hex(&Sha256::digest(&image.reference))[..16].to_owned();
    let record = checkout.state().join(node).join("imported").join(name);
    if fs::read_to_string(&record).is_ok_and(|digest| digest == image.digest) {
        return Ok(false);
    }
    let archive =
        File::open(&image.archive).with_context(|| format!("cannot open {}", image.archive.display()))?;
    let mut command = images_of(checkout, node)?;
    // The archive comes through standard input: its path may be hidden inside.
    command.args(["images", "import", "-"]).stdin(archive);
    let output = command.output().with_context(|| format!("cannot run {}", shell::describe(&command)))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("cannot import {} into {node}: {}", image.archive.display(), shell::last_lines(&words, 5));
    }
    files::write_atomically(&record, &image.digest)?;
    Ok(true)
}

/// Gives an image of every node one more name: `cargo xtask tag`. The name may exist.
pub fn tag(image: &str, name: &str) -> Result<()> {
    let checkout = Checkout::find()?;
    let cluster =
        up::running(&checkout)?.context("no local cluster is running: run `cargo xtask up` first")?;
    for number in 1..=cluster.nodes {
        let mut command = images_of(&checkout, &network::node_name(number))?;
        shell::output(command.args(["images", "tag", "--force", image, name]))?;
    }
    Ok(())
}

/// `ctr` for the images of a node, arguments to follow.
fn images_of(checkout: &Checkout, node: &str) -> Result<Command> {
    let mut command = entered(checkout)?;
    command.args(["ctr", "--address", &format!("/run/{node}/containerd.sock"), "--namespace", "k8s.io"]);
    Ok(command)
}

/// Runs a program inside: `cargo xtask enter`.
pub fn enter(words: &[String]) -> Result<ExitCode> {
    let checkout = Checkout::find()?;
    let status = entered(&checkout)?.args(words).status()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A command that enters the namespaces of the running cluster, program to follow.
pub fn entered(checkout: &Checkout) -> Result<Command> {
    let owner = register::owner(&checkout.id)?.filter(|owner| owner.namespaces > 0);
    let process = owner.context("no local cluster is running: run `cargo xtask up` first")?.namespaces;
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{process}/ns/net"));
    command.arg(format!("--mount=/proc/{process}/ns/mnt"));
    command.arg(format!("--pid=/proc/{process}/ns/pid_for_children"));
    Ok(command)
}
