//! `cargo xtask status`.

use std::io::Write;

use anyhow::Result;

use crate::checkout::Checkout;
use crate::cluster::Cluster;
use crate::supervisor::status;
use crate::target::Target;
use crate::{register, shell, up};

/// Shows supervisor, parts, nodes and port.
pub fn status() -> Result<()> {
    let checkout = Checkout::find()?;
    let Some(cluster) = up::running(&checkout)? else {
        println!("no local cluster is running: `cargo xtask up` starts one");
        return Ok(());
    };
    // In one piece and without a complaint when the reader has left (`| head`).
    std::io::stdout().write_all(text(&checkout, &cluster)?.as_bytes()).ok();
    Ok(())
}

fn text(checkout: &Checkout, cluster: &Cluster) -> Result<String> {
    let process = register::owner(&checkout.id)?.map_or(0, |owner| owner.process);
    let status = status::read(&checkout.state())?;
    let error = status.error.map(|error| format!(": {error}")).unwrap_or_default();
    let mut lines = vec![
        format!("supervisor  process {process}, cgroups matriarch-{}", checkout.id),
        format!("API server  https://127.0.0.1:{}", cluster.port),
        format!("kubeconfig  {}", checkout.kubeconfig().display()),
        format!("logs        {}", checkout.logs().display()),
        format!("state       {}{error}", status.stage),
    ];
    for part in &status.parts {
        let state = if part.running { "running" } else { "ENDED, is being started again" };
        let restarts =
            if part.restarts > 0 { format!(", {} restart(s)", part.restarts) } else { String::new() };
        lines.push(format!("  {:<26} {state}{restarts}", part.name));
    }
    lines.push(shell::output(Target::local(checkout).kubectl().args(["get", "nodes", "--output=wide"]))?);
    Ok(lines.join("\n"))
}
