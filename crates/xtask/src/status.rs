//! `cargo xtask status`.

use anyhow::Result;

use crate::checkout::Checkout;
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
    let process = register::owner(&checkout.id)?.map_or(0, |owner| owner.process);
    println!("supervisor  process {process}, cgroups matriarch-{}", checkout.id);
    println!("API server  https://127.0.0.1:{}", cluster.port);
    println!("kubeconfig  {}", checkout.kubeconfig().display());
    println!("logs        {}", checkout.logs().display());
    let status = status::read(&checkout.state())?;
    println!("state       {}{}", status.stage, status.error.map(|error| format!(": {error}")).unwrap_or_default());
    for part in &status.parts {
        let state = if part.running { "running" } else { "ENDED, is being started again" };
        let restarts = if part.restarts > 0 { format!(", {} restart(s)", part.restarts) } else { String::new() };
        println!("  {:<26} {state}{restarts}", part.name);
    }
    print!("{}", shell::output(Target::local(&checkout).kubectl().args(["get", "nodes", "--output=wide"]))?);
    Ok(())
}
