//! Who a side is on the further lanes of a session: a key pair, made for that session alone.
//!
//! The public key stands for itself (RFC 7250): there is no certificate, so nothing of one is parsed,
//! believed or out of date. Its fingerprint goes to the other side over the first lane, and TLS lets in
//! who proves to have the key of that fingerprint, and nobody else. Keys are in memory and nowhere
//! else, and the sessions of a program have different ones.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::ring::{cipher_suite, default_provider, sign};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    PeerIncompatible, ServerConfig, SignatureScheme, version,
};
use wire::Fingerprint;

/// A key pair, and what it is known by.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    key: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
}

impl Identity {
    /// Makes a key pair. Fails where the system has no random numbers to give.
    pub(crate) fn new() -> Result<Self, Error> {
        let failed = |_| Error::FailedToGetRandomBytes;
        let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
        let key = sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pair.as_ref()))?;
        let public = key.public_key().ok_or(Error::FailedToGetRandomBytes)?.to_vec();
        let fingerprint = fingerprint(&public);
        let key = Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], key));
        Ok(Self { key, fingerprint })
    }

    /// What the other side is to know it by.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// For connecting to who has that fingerprint.
    pub(crate) fn client(&self, peer: Fingerprint) -> Result<ClientConfig, Error> {
        let (provider, pinned) = pinned(peer);
        let key = AlwaysResolvesClientRawPublicKeys::new(Arc::clone(&self.key));
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(pinned)
            .with_client_cert_resolver(Arc::new(key));
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// For letting in who has that fingerprint.
    pub(crate) fn server(&self, peer: Fingerprint) -> Result<ServerConfig, Error> {
        let (provider, pinned) = pinned(peer);
        let key = AlwaysResolvesServerRawPublicKeys::new(Arc::clone(&self.key));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])?
            .with_client_cert_verifier(pinned)
            .with_cert_resolver(Arc::new(key));
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }
}

/// TLS asks for a name, which nobody looks at.
pub(crate) fn no_name() -> ServerName<'static> {
    ServerName::try_from("lanesync").expect("it is a name")
}

fn fingerprint(public: &[u8]) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, public).as_ref());
    Fingerprint(bytes)
}

/// Ciphers of TLS 1.3, and who is let in.
fn pinned(peer: Fingerprint) -> (Arc<CryptoProvider>, Arc<Pinned>) {
    let mut provider = default_provider();
    let aes = cipher_suite::TLS13_AES_128_GCM_SHA256;
    let chacha = cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
    // The first that the connecting side has is taken.
    provider.cipher_suites = if has_aes() { vec![aes, chacha] } else { vec![chacha, aes] };
    let pinned = Pinned { peer, algorithms: provider.signature_verification_algorithms };
    (Arc::new(provider), Arc::new(pinned))
}

/// Whether the processor has instructions for AES, without which `ChaCha20` is several times faster.
fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

/// Lets in who has one key.
#[derive(Debug)]
struct Pinned {
    peer: Fingerprint,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn check(&self, key: &CertificateDer<'_>) -> Result<(), Error> {
        // It is no secret, so how long comparing takes tells nothing.
        let is_it = fingerprint(key) == self.peer;
        let refused = CertificateError::ApplicationVerificationFailure;
        is_it.then_some(()).ok_or(Error::InvalidCertificate(refused))
    }

    fn check_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }
}

/// An older TLS is not spoken.
fn too_old() -> Error {
    PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into()
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(key).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(key).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
