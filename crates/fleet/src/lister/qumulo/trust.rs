//! Whose certificates are believed.
//!
//! Those that an authority of this host has signed, or one of a file that the user names and then no other.
//! What a cluster makes for itself is often an authority and a server in one, which the standard does not
//! allow: such a certificate is believed when it is itself in that file, its name is that of the host and its
//! time is not over. Guarded by `a_certificate_of_its_own_is_believed_when_it_is_named`.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::Tls;

/// The longest file with certificates that is read; a whole distribution's has a quarter of it.
const MOST_CERTIFICATE_BYTES: u64 = 1 << 20;

/// How connections are made safe; `None` for those that are not. Fails with a sentence.
pub(super) fn client_config(tls: &Tls) -> Result<Option<Arc<ClientConfig>>, String> {
    let provider = Arc::new(crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match tls {
        Tls::PlainHttp => return Ok(None),
        Tls::Unverified => Arc::new(Anybody(provider.signature_verification_algorithms)),
        Tls::Verified { ca: Some(path) } => Arc::new(Named::read(path, &provider)?),
        Tls::Verified { ca: None } => Arc::new(Named::of_host(&provider)?),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Some(Arc::new(config)))
}

/// Believes what authorities have signed.
#[derive(Debug)]
struct Named {
    authorities: Arc<WebPkiServerVerifier>,
    /// Those of a file, which are believed themselves.
    certificates: Vec<CertificateDer<'static>>,
}

impl Named {
    fn read(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let shown = path.display();
        let text = fs::operator::read_file_up_to(path, MOST_CERTIFICATE_BYTES)
            .map_err(|error| format!("certificates \"{shown}\": {error}"))?;
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match read {
            Ok(certificates) if !certificates.is_empty() => Self::new(certificates, provider)
                .map_err(|error| format!("certificates \"{shown}\": {error}")),
            _ => Err(format!(
                "certificates \"{shown}\": there is none in it that can be read; it has to be a PEM file, \
                 with lines of -----BEGIN CERTIFICATE-----"
            )),
        }
    }

    fn new(
        certificates: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        Ok(Self { authorities: verifier(roots, provider)?, certificates })
    }

    fn of_host(provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("this host has no list of certificate authorities to check the cluster by: install \
                        ca-certificates, or name the cluster's certificate with --ca FILE"
                .to_owned());
        }
        Ok(Self { authorities: verifier(roots, provider)?, certificates: Vec::new() })
    }
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
        .build()
        .map_err(|error| error.to_string())
}

/// Whether a certificate was refused only because it is an authority's: its time has been looked at.
fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refused = match self.authorities.verify_server_cert(
            certificate,
            intermediates,
            name,
            ocsp_response,
            now,
        ) {
            Err(error) if is_authority(&error) && self.certificates.contains(certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
            }
            verified => return verified,
        };
        refused.map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Believes everybody.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
