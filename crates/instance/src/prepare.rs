//! The folders on the volume and the user that everything runs as.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use nix::unistd::{Gid, Uid, User, chown, getegid, geteuid, initgroups, setgid, setuid};

use crate::layout::Layout;

/// Numbers of user and group `postgres` in published images: volumes carry them.
const POSTGRES: (u32, u32) = (101, 103);

/// As root: the folders belong to postgres, and the process becomes postgres. As anybody else: that user is
/// given a name, without which `initdb` does not work.
///
/// # Errors
/// Names the folder that could not be made, or the step to another user that failed.
pub fn become_postgres(layout: &Layout) -> Result<()> {
    if !geteuid().is_root() {
        return name_this_user(layout);
    }
    let user = User::from_name("postgres").ok().flatten();
    let (uid, gid) =
        user.map_or((Uid::from_raw(POSTGRES.0), Gid::from_raw(POSTGRES.1)), |user| (user.uid, user.gid));
    create(&layout.root)?;
    // Going through a large volume takes minutes, so it happens only when its top belongs to somebody else.
    if fs::metadata(&layout.root)?.uid() != uid.as_raw() {
        own(&layout.root, uid, gid)?;
    }
    own(&layout.sockets(), uid, gid).ok();
    initgroups(c"postgres", gid).context("cannot take the groups of postgres")?;
    setgid(gid).context("cannot become group postgres")?;
    setuid(uid).context("cannot become user postgres")
}

/// Makes the folders, as the user that PostgreSQL runs as.
///
/// # Errors
/// Names the folder, and the setting of the pod that makes the volume writable.
pub fn folders(layout: &Layout) -> Result<()> {
    let temporary = layout.root.parent().unwrap_or(&layout.root).join("tmp");
    for path in [
        &layout.root,
        &layout.data,
        &layout.log,
        &layout.sockets(),
        &layout.certificates(),
        &layout.run.join("tmp"),
    ] {
        create(path)?;
    }
    // Only a convenience for people; the mount itself may belong to root.
    fs::create_dir_all(temporary).ok();
    if fs::metadata(&layout.data)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(&layout.data, fs::Permissions::from_mode(0o700))
            .context("cannot make the data directory private")?;
    }
    // The tables over PostgreSQL's logs read these files from the first minute on.
    for day in 0..=7 {
        let path = layout.log.join(format!("postgresql-{day}.csv"));
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
    }
    Ok(())
}

fn create(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| {
        format!(
            "cannot create {} as user {}:{}: let the volume belong to that user or group (spiloFSGroup: {} in the manifest)",
            path.display(),
            geteuid(),
            getegid(),
            POSTGRES.1
        )
    })
}

fn own(path: &Path, uid: Uid, gid: Gid) -> Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.file_type().is_symlink() {
        return Ok(());
    }
    chown(path, Some(uid), Some(gid))
        .with_context(|| format!("cannot give {} to postgres", path.display()))?;
    if meta.is_dir() {
        for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
            own(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}

fn name_this_user(layout: &Layout) -> Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    if User::from_uid(uid).ok().flatten().is_some() {
        return Ok(());
    }
    let line = format!("matriarch:x:{uid}:{gid}::{}:/bin/bash\n", layout.home.display());
    fs::OpenOptions::new()
        .append(true)
        .open("/etc/passwd")
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .with_context(|| format!("user {uid} has no name and /etc/passwd cannot be written: run as user 101 (spiloRunAsUser) or with group 0"))
}
