//! A sandbox on loopback, for the AWS CLI, boto3 and other SDKs.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use futures::stream::{self, StreamExt as _};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::BoxBody};
use hyper::body::{Body as _, Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Outcome, Sandbox};

/// The largest request: a manifest of 4 MiB with every character escaped, and some room.
const REQUEST_BYTES_MAX: u64 = 32 << 20;

type Body = BoxBody<Bytes, io::Error>;

/// The connection is to be broken.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken on purpose")]
struct Dropped;

/// Answers requests on 127.0.0.1 until `shutdown` is ready.
///
/// Port 0 takes a free one. `on_ready` is told the address as soon as connections are taken. Fails if the port can
/// not be bound.
pub async fn serve(
    sandbox: Sandbox,
    port: u16,
    on_ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = bind(port).await?;
    on_ready(listener.local_addr()?);
    serve_on(listener, sandbox, shutdown).await
}

/// Takes a port of 127.0.0.1; 0 takes a free one.
pub(super) async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

pub(super) async fn serve_on(
    listener: TcpListener,
    sandbox: Sandbox,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let sandbox = sandbox.in_real_time()?;
    let mut shutdown = std::pin::pin!(shutdown);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(converse(sandbox.clone(), socket));
                }
                // A client that went away again, or no file descriptor left: the next one may be luckier.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
    Ok(())
}

async fn converse(sandbox: Sandbox, socket: TcpStream) {
    // Small requests one after the other: waiting to fill packets would cost 40 ms each.
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| respond(sandbox.clone(), request));
    // How a connection ends is the client's business.
    let _ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

async fn respond(sandbox: Sandbox, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
    let arrived = Instant::now();
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() > REQUEST_BYTES_MAX {
        return Ok(too_large());
    }
    // A length that was not announced is limited too.
    let limit = usize::try_from(REQUEST_BYTES_MAX).unwrap_or(usize::MAX);
    let Ok(body) = Limited::new(body, limit).collect().await else {
        return Ok(too_large());
    };
    let request = Request::from_parts(parts, body.to_bytes());
    match sandbox.answer_since(arrived, request).await {
        Outcome::Answered(response) => Ok(response.map(whole)),
        Outcome::Truncated(response) => Ok(truncated(response)),
        Outcome::Dropped => Err(Dropped),
    }
}

fn too_large() -> Response<Body> {
    let mut response = Response::new(whole(Bytes::new()));
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    response
}

fn whole(body: Bytes) -> Body {
    let never = |never: Infallible| match never {};
    Full::new(body).map_err(never).boxed()
}

/// A response that promises all of its body and breaks off in the middle.
fn truncated(response: Response<Bytes>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    let frames = stream::iter([Ok(Frame::data(half))]).chain(stream::once(async {
        // The server sends what it has when the body makes it wait.
        tokio::task::yield_now().await;
        Err(io::Error::other(Dropped))
    }));
    Response::from_parts(parts, BoxBody::new(StreamBody::new(frames)))
}
