//! The sockets that lapin reads from: as tokio's, but that what comes in small pieces is read in larger ones.
//!
//! lapin reads and writes on a thread of its own, and each delivery that it reads alone costs four changes of thread: the
//! socket's readiness wakes ours, ours wakes lapin's, lapin's wakes ours. Where one small read follows the other that thread
//! waits a moment before the next, and finds more: nothing is held back but by that moment, and what is to be written goes
//! out before it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::sys::AsSysFd;
use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use futures_io::{AsyncRead, AsyncWrite, IoSlice, IoSliceMut};
use futures_util::Stream;

/// Reads that follow each other within this time are one stream of messages.
const CLOSE: Duration = Duration::from_millis(2);
/// After so many of them more are to be expected.
const MANY: u32 = 16;
/// A read of so many bytes is worth its price.
const SMALL: usize = 8 * 1024;
/// How long more is waited for: a fraction of what a message takes through the broker.
const MOMENT: Duration = Duration::from_micros(500);

/// tokio, with these sockets.
#[derive(Debug, Clone)]
pub(super) struct Kit(Tokio);

impl Kit {
    pub fn current() -> Self {
        Self(Tokio::current())
    }
}

impl RuntimeKit for Kit {}

impl Executor for Kit {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(&self, future: F) -> Task<Self::Task<T>> {
        self.0.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(&self, work: F) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(work)
    }
}

impl Reactor for Kit {
    type TcpStream = Gathering<<Tokio as Reactor>::TcpStream>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: io::Read + io::Write + AsSysFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connected = self.0.tcp_connect_addr(address);
        async move { Ok(Gathering::new(connected.await?)) }
    }
}

/// A stream that is read in larger pieces when small ones come quickly. Whoever reads it has a thread of his own.
pub(super) struct Gathering<S> {
    inner: S,
    /// Small reads that have come quickly, one after the other.
    close: u32,
    read_at: Instant,
    next: Next,
}

/// What the next read is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Plain,
    /// What was read is to be made use of first.
    Later,
    /// A moment is waited for more.
    Gathered,
}

impl<S> Gathering<S> {
    fn new(inner: S) -> Self {
        Self { inner, close: 0, read_at: Instant::now(), next: Next::Plain }
    }

    /// Whether there is something to do before it is read.
    fn hold(&mut self, cx: &mut Context<'_>) -> bool {
        match self.next {
            Next::Plain => false,
            Next::Later => {
                self.next = Next::Gathered;
                cx.waker().wake_by_ref();
                true
            }
            Next::Gathered => {
                self.next = Next::Plain;
                std::thread::sleep(MOMENT);
                false
            }
        }
    }

    fn has_read(&mut self, read: &Poll<io::Result<usize>>) {
        let Poll::Ready(Ok(bytes)) = read else {
            return;
        };
        let now = Instant::now();
        let is_close = *bytes < SMALL && now - self.read_at < CLOSE;
        self.close = if is_close { self.close + 1 } else { 0 };
        self.read_at = now;
        if self.close >= MANY {
            self.next = Next::Later;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.hold(cx) {
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.has_read(&read);
        read
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.hold(cx) {
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.inner).poll_read_vectored(cx, buffers);
        self.has_read(&read);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
