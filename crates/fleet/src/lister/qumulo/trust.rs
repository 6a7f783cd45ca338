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
    let believed = match tls {
        Tls::PlainHttp => return Ok(None),
        Tls::Unverified => Believed::Anybody,
        Tls::Verified { ca: Some(path) } => Believed::in_file(path, &provider)?,
        Tls::Verified { ca: None } => Believed::of_host(&provider)?,
    };
    let algorithms = provider.signature_verification_algorithms;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { believed, algorithms }))
        .with_no_client_auth();
    Ok(Some(Arc::new(config)))
}

/// Who is believed to be who it says.
#[derive(Debug)]
enum Believed {
    /// Who shows a certificate that authorities have signed.
    Signed {
        authorities: Arc<WebPkiServerVerifier>,
        /// Those of a file, which are believed themselves.
        certificates: Vec<CertificateDer<'static>>,
    },
    /// Whoever it is.
    Anybody,
}

impl Believed {
    fn in_file(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let shown = path.display();
        let text = fs::operator::read_file_up_to(path, MOST_CERTIFICATE_BYTES)
            .map_err(|error| format!("certificates \"{shown}\": {error}"))?;
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match read {
            Ok(certificates) if !certificates.is_empty() => Self::these(certificates, provider)
                .map_err(|error| format!("certificates \"{shown}\": {error}")),
            _ => Err(format!(
                "certificates \"{shown}\": there is none in it that can be read; it has to be a PEM file, \
                 with lines of -----BEGIN CERTIFICATE-----"
            )),
        }
    }

    fn these(
        certificates: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        Ok(Self::Signed { authorities: authorities(roots, provider)?, certificates })
    }

    fn of_host(provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("this host has no list of certificate authorities to check the cluster by: install \
                        ca-certificates, or name the cluster's certificate with --ca FILE"
                .to_owned());
        }
        let certificates = Vec::new();
        Ok(Self::Signed { authorities: authorities(roots, provider)?, certificates })
    }
}

fn authorities(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
        .build()
        .map_err(|error| error.to_string())
}

/// Whether a certificate was refused only because it is an authority's: its time has been looked at.
fn is_authority(reason: &CertificateError) -> bool {
    let CertificateError::Other(other) = reason else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// Why a certificate is not believed, in words.
pub(super) fn said_of(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer => "nobody who is trusted here has signed it".to_owned(),
        reason if is_authority(reason) => {
            "it is an authority's own, and not a trusted one".to_owned()
        }
        reason => reason.to_string(),
    }
}

/// Asks who is at the other end. That it has the key of its certificate is looked at in any case.
#[derive(Debug)]
struct Verifier {
    believed: Believed,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Believed::Signed { authorities, certificates } = &self.believed else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            authorities.verify_server_cert(certificate, intermediates, name, ocsp_response, now);
        match verified {
            Err(Error::InvalidCertificate(reason))
                if is_authority(&reason) && certificates.contains(certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
                    .map(|()| ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
