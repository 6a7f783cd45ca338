//! How bytes reach a cluster: its address, TCP, a wait that can be ended, and TLS.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use sched::Cancel;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::Duration as Span;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

/// After so long, somebody who waits for an answer looks whether it is still wanted.
const LOOK_UP: Duration = Duration::from_millis(100);

/// There is no address of a host, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAddress(io::Error);

/// Finds the address of a host, and tells a fault of that from those of the network.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    inner: DefaultResolver,
}

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.inner.resolve(uri, config, timeout).map_err(|error| match error {
            Error::Io(error) => Error::Other(NoAddress(error).into()),
            error => error,
        })
    }
}

/// Lets a wait for an answer end when nobody wants it any more.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) cancel: Cancel,
}

impl<In: Transport> Connector<In> for Watch {
    type Out = Watched<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Watched<In>>, Error> {
        Ok(chained.map(|inner| Watched { inner, cancel: self.cancel.clone() }))
    }
}

/// A connection whose waits can be ended.
#[derive(Debug)]
pub(super) struct Watched<In> {
    inner: In,
    cancel: Cancel,
}

impl<In: Transport> Transport for Watched<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let begun = Instant::now();
        loop {
            self.cancel.check().map_err(|cancelled| Error::Other(cancelled.into()))?;
            let left = match timeout.after {
                Span::Exact(whole) => whole.saturating_sub(begun.elapsed()),
                Span::NotHappening => Duration::MAX,
            };
            let after = Span::Exact(left.min(LOOK_UP));
            match self.inner.await_input(NextTimeout { after, ..timeout }) {
                Err(Error::Timeout(_)) if left > LOOK_UP => {}
                done => return done,
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}

/// Makes connections safe, where that is asked for.
#[derive(Debug)]
pub(super) struct Encrypt {
    pub(super) config: Option<Arc<ClientConfig>>,
}

impl<In: Transport> Connector<In> for Encrypt {
    type Out = Either<In, Encrypted<In>>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(inner) = chained else { return Ok(None) };
        let Some(config) = &self.config else { return Ok(Some(Either::A(inner))) };
        let host = details.uri.host().unwrap_or_default();
        let name = ServerName::try_from(host.trim_matches(['[', ']']))
            .map_err(|_| Error::Tls("the name of the host cannot be in a certificate"))?
            .to_owned();
        let mut tls = ClientConnection::new(Arc::clone(config), name)
            .map_err(|error| Error::Io(io::Error::other(error)))?;
        let mut wire = TransportAdapter::new(inner, Arc::clone(&details.current_time));
        wire.set_timeout(details.timeout);
        tls.complete_io(&mut wire)?;
        let (input, output) =
            (details.config.input_buffer_size(), details.config.output_buffer_size());
        let stream = StreamOwned::new(tls, wire);
        Ok(Some(Either::B(Encrypted { buffers: LazyBuffers::new(input, output), stream })))
    }
}

/// A safe connection.
pub(super) struct Encrypted<In: Transport> {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter<In>>,
}

impl<In: Transport> fmt::Debug for Encrypted<In> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Encrypted").finish_non_exhaustive()
    }
}

impl<In: Transport> Transport for Encrypted<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
