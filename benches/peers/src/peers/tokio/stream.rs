//! Sockets of both kinds under one type, with frames of the codec's default form.

use std::future::Future;

use ::tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use ::tokio::runtime::{Builder, Runtime};
use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::SinkExt;
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio_util::either::Either;

use crate::work::{Transport, Work};

pub(in crate::peers) type Stream = Either<TcpStream, UnixStream>;
pub(in crate::peers) type Frames = Framed<Stream, LengthDelimitedCodec>;

/// The buffers of the library that is called "tokio-64k".
const LARGE_BUFFER: usize = 64 * 1024;

pub(in crate::peers) fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

pub(in crate::peers) enum Listener {
    Tcp(TcpListener),
    Uds(UnixListener),
}

impl Listener {
    /// Also says where.
    pub(in crate::peers) async fn bind(work: &Work) -> Result<(Listener, String)> {
        match work.transport {
            Transport::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let address = listener.local_addr()?.to_string();
                Ok((Listener::Tcp(listener), address))
            }
            Transport::Uds => {
                let path = Work::socket_path();
                let listener = UnixListener::bind(&path)?;
                Ok((Listener::Uds(listener), path.display().to_string()))
            }
        }
    }

    pub(in crate::peers) async fn accept(&self) -> Result<Stream> {
        match self {
            Listener::Tcp(listener) => tcp(listener.accept().await?.0),
            Listener::Uds(listener) => Ok(Either::Right(listener.accept().await?.0)),
        }
    }
}

pub(in crate::peers) async fn connect(transport: Transport, address: &str) -> Result<Stream> {
    match transport {
        Transport::Tcp => tcp(TcpStream::connect(address).await?),
        Transport::Uds => Ok(Either::Right(UnixStream::connect(address).await?)),
    }
}

fn tcp(stream: TcpStream) -> Result<Stream> {
    stream.set_nodelay(true)?;
    Ok(Either::Left(stream))
}

pub(in crate::peers) fn frames(stream: Stream, work: &Work) -> Frames {
    let codec = LengthDelimitedCodec::new();
    if work.peer != "tokio-64k" {
        return Framed::new(stream, codec);
    }
    let mut frames = Framed::with_capacity(stream, codec, LARGE_BUFFER);
    frames.set_backpressure_boundary(LARGE_BUFFER);
    frames
}

/// What a stream says where an end of it is a failure.
pub(in crate::peers) async fn some<T, E>(
    next: impl Future<Output = Option<Result<T, E>>>,
) -> Result<T>
where
    anyhow::Error: From<E>,
{
    Ok(next.await.context("the connection has ended")??)
}

pub(in crate::peers) async fn flush(frames: &mut Frames) -> Result<()> {
    Ok(SinkExt::<Bytes>::flush(frames).await?)
}
