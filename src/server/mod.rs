//! The local endpoint of a running job: its status as JSON, its health, and `why`.
//!
//! It binds loopback unless told otherwise, answers only reads, and holds no state: every answer is
//! made from a fresh [`Status`].

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};

use crate::error::{Error, Kind};
use crate::observe::Status;

/// Where the endpoint listens if nothing else is said.
pub const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 7070));

/// Gives the status of the job whenever it is asked.
pub type Ask = Arc<dyn Fn() -> Status + Send + Sync>;

/// A running endpoint. It ends with the process.
pub struct Server {
    address: SocketAddr,
}

impl Server {
    /// Starts to listen, on a thread of its own. A port that is taken is an error.
    pub fn start(address: SocketAddr, ask: Ask) -> Result<Self, Error> {
        let refused = |error: std::io::Error| {
            Error::new(Kind::Unreachable, format!("cannot listen on http://{address}: {error}"))
                .hint("choose another address with `--http HOST:PORT`, or `--http off`")
        };
        let listener = std::net::TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(listener, routes(ask)).await
            })
        };
        let named = std::thread::Builder::new().name("tiderace:http".into());
        named
            .spawn(move || {
                if let Err(error) = serve() {
                    tracing::warn!(%error, "the local endpoint has ended");
                }
            })
            .map_err(refused)?;
        Ok(Server { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn routes(ask: Ask) -> Router {
    Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/health", get(ready))
        .route("/why", get(|State(ask): State<Ask>| async move { ask().why + "\n" }))
        .route("/api/v1/status", get(|State(ask): State<Ask>| async move { Json(ask()) }))
        .with_state(ask)
}

/// Ready once every source has reported its partitions.
async fn ready(State(ask): State<Ask>) -> (StatusCode, String) {
    let status = ask();
    let code =
        if status.sources.is_empty() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, status.why + "\n")
}
