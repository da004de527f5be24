//! The Kubernetes that a command talks to: the local cluster or a given context.

use std::process::Command;

use anyhow::{Result, bail};

use crate::checkout::Checkout;

/// A Kubernetes and the kubectl for it.
#[derive(Debug, Clone)]
pub struct Target {
    checkout: Checkout,
    context: Option<String>,
}

impl Target {
    /// The cluster of this checkout.
    pub fn local(checkout: &Checkout) -> Self {
        Self { checkout: checkout.clone(), context: None }
    }

    /// A context of the user's own kubeconfig.
    pub fn context(checkout: &Checkout, context: &str) -> Result<Self> {
        if !crate::shell::is_installed("kubectl") {
            bail!("--context {context} needs kubectl on the PATH: install it and try again");
        }
        Ok(Self { checkout: checkout.clone(), context: Some(context.to_owned()) })
    }

    /// Kubectl for this Kubernetes, arguments to follow.
    pub fn kubectl(&self) -> Command {
        let mut command;
        match &self.context {
            Some(context) => {
                command = Command::new("kubectl");
                command.args(["--context", context]);
            }
            None => {
                command = Command::new(self.checkout.kubectl());
                command.arg("--kubeconfig").arg(self.checkout.kubeconfig());
            }
        }
        command
    }

    /// Whether this is the checkout's own cluster.
    pub fn is_local(&self) -> bool {
        self.context.is_none()
    }
}
