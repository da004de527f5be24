//! One turn of one cluster: a pass, contained, and the verdict on it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use matriarch_plan::scheduler::{Next, Turn, Verdict};
use tracing::warn;

use crate::controller::Context;
use crate::pass::{PassError, pass};
use crate::plain::plain;

/// A pass that takes longer is given up; the next one observes again.
const LONGEST_PASS: Duration = Duration::from_secs(180);

/// Makes the pass. A panic or a hanging call is contained to its cluster.
pub async fn contained(context: &Arc<Context>, turn: &Turn) -> Verdict {
    let running = AssertUnwindSafe(pass(turn, context)).catch_unwind();
    // Whoever does not lead any more gives up at once, in the middle of a request if need be.
    let leading = async {
        tokio::select! {
            result = running => result,
            () = context.leadership_lost() => Ok(Err(PassError::NotLeading)),
        }
    };
    let result = match tokio::time::timeout(LONGEST_PASS, leading).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            context.metrics.count_panic();
            let text = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned());
            Err(PassError::Panicked(text.unwrap_or_else(|| "without a message".to_owned())))
        }
        Err(_) => {
            context.metrics.count_timeout("pass");
            Err(PassError::TimedOut(LONGEST_PASS.as_secs()))
        }
    };
    result.unwrap_or_else(|error| {
        warn!("cluster {}: {}", turn.key, plain(&error));
        Verdict { next: Next::Failed, slow: matches!(error, PassError::TimedOut(_)) }
    })
}
