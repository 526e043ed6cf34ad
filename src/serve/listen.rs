//! Connections: how many, how long they may take for a head, and how they end.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::Limits;

/// Bytes of a head, at most.
const MOST_HEAD: usize = 64 << 10;

/// Serves until `stop` says so, then answers what was asked.
///
/// # Errors
/// What keeps it from listening.
pub fn serve(listener: TcpListener, router: Router, limits: Limits, stop: watch::Receiver<bool>) -> io::Result<()> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(accept(listener, router, limits, stop))
}

async fn accept(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let connections = Arc::new(Semaphore::new(limits.connections()));
    let open = GracefulShutdown::new();
    loop {
        let next = async {
            let place = connections.clone().acquire_owned().await.expect("it is never closed");
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = next => accepted,
            _ = stop.changed() => break,
        };
        let Ok((stream, _)) = accepted else {
            // A connection that has ended already, or no file to be had: others end meanwhile.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        drop(stream.set_nodelay(true));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits.part_time()).max_buf_size(MOST_HEAD);
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        let connection = open.watch(connection);
        tokio::spawn(async move {
            // What ends a connection is the matter of who made it.
            drop(connection.await);
            drop(place);
        });
    }
    drop(listener);
    // Requests end by their own time; whoever does not read the answer is not waited for.
    drop(timeout(limits.time + limits.part_time(), open.shutdown()).await);
    Ok(())
}
