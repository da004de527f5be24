//! SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677) in the form that `pg_authid` stores:
//! `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
//!
//! Verifiers carry a random salt, so two of one password differ. A stored one is compared
//! by deriving again with its own salt: in the steady state nothing is altered.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::difference::PasswordState;

/// Iterations of a new verifier, as the server's own default.
pub const DEFAULT_ITERATIONS: u32 = 4096;

const PREFIX: &str = "SCRAM-SHA-256$";

/// More iterations than anyone uses; a stored verifier that claims more is not derived,
/// so that it cannot hold the operator up.
const MAX_ITERATIONS: u32 = 10_000_000;

/// The verifier of a password. Passwords are taken as they are: no SASLprep, as the
/// contract says; for ASCII passwords that makes no difference.
pub fn scram_verifier(password: &str, salt: &[u8], iterations: u32) -> String {
    let (stored_key, server_key) = keys(password, salt, iterations);
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    format!("{PREFIX}{iterations}:{}${}:{}", encoded(salt), encoded(&stored_key), encoded(&server_key))
}

/// What to send to the server for the content of a credential Secret: content that is
/// itself a verifier goes as it is, anything else is derived with `salt`.
pub fn expected_verifier(password: &str, salt: &[u8]) -> String {
    if is_verifier(password) {
        password.to_owned()
    } else {
        scram_verifier(password, salt, DEFAULT_ITERATIONS)
    }
}

/// Whether a password is already a verifier: the server would store it unchanged.
pub fn is_verifier(password: &str) -> bool {
    let md5 = password.len() == 35 && password.starts_with("md5");
    md5 || parse(password).is_some()
}

/// Whether a stored verifier belongs to this password. A verifier in a form that we do
/// not make (md5, broken) belongs to no clear-text password: it is to be replaced.
pub fn verifier_matches(verifier: &str, password: &str) -> bool {
    if is_verifier(password) {
        return same(verifier.as_bytes(), password.as_bytes());
    }
    let Some(parts) = parse(verifier) else {
        return false;
    };
    let (stored_key, server_key) = keys(password, &parts.salt, parts.iterations);
    same(&stored_key, &parts.stored_key) & same(&server_key, &parts.server_key)
}

/// How the password of a Secret stands to a role's verifier.
///
/// `password` is `None` when the Secret could not be read: that is `Unknown`. A role that
/// does not exist or has no verifier differs from any password.
pub fn password_state(password: Option<&str>, verifier: Option<&str>) -> PasswordState {
    match (password, verifier) {
        (None, _) => PasswordState::Unknown,
        (Some(password), Some(verifier)) if verifier_matches(verifier, password) => PasswordState::Matches,
        (Some(_), _) => PasswordState::Differs,
    }
}

struct Parts {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

fn parse(verifier: &str) -> Option<Parts> {
    let (head, keys) = verifier.strip_prefix(PREFIX)?.split_once('$')?;
    let (iterations, salt) = head.split_once(':')?;
    let (stored, server) = keys.split_once(':')?;
    let decoded = |text: &str| STANDARD.decode(text).ok();
    let parts = Parts {
        iterations: iterations.parse().ok()?,
        salt: decoded(salt)?,
        stored_key: decoded(stored)?,
        server_key: decoded(server)?,
    };
    let plausible = (1..=MAX_ITERATIONS).contains(&parts.iterations)
        && parts.stored_key.len() == 32
        && parts.server_key.len() == 32;
    plausible.then_some(parts)
}

/// StoredKey and ServerKey of RFC 5802 section 3.
fn keys(password: &str, salt: &[u8], iterations: u32) -> ([u8; 32], [u8; 32]) {
    let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations);
    let client_key = hmac(&salted, b"Client Key");
    (Sha256::digest(client_key).into(), hmac(&salted, b"Server Key"))
}

fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    // A 32 byte key is shorter than the block of SHA-256, so it is used as it is.
    let mut block = hmac::digest::generic_array::GenericArray::default();
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Equality whose time does not tell where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 section 3: user "user", password "pencil".
    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
    const CLIENT_FIRST_BARE: &str = "n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_SIGNATURE: &str = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn salt() -> Vec<u8> {
        STANDARD.decode(SALT).expect("base64")
    }

    #[test]
    fn vectors_of_rfc_7677() {
        let (stored_key, server_key) = keys("pencil", &salt(), 4096);
        let message = format!("{CLIENT_FIRST_BARE},{SERVER_FIRST},{CLIENT_FINAL}");

        assert_eq!(STANDARD.encode(hmac(&server_key, message.as_bytes())), SERVER_SIGNATURE);

        // The proof is ClientKey XOR ClientSignature; its ClientKey must hash to StoredKey.
        let signature = hmac(&stored_key, message.as_bytes());
        let proof = STANDARD.decode(PROOF).expect("base64");
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(p, s)| p ^ s).collect();
        assert_eq!(Sha256::digest(client_key).as_slice(), stored_key);
    }

    #[test]
    fn verifier_of_the_rfc_password() {
        let verifier = scram_verifier("pencil", &salt(), 4096);
        assert_eq!(
            verifier,
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
             WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
             wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
        assert!(verifier_matches(&verifier, "pencil"));
        assert!(!verifier_matches(&verifier, "Pencil"));
        assert!(!verifier_matches(&verifier, ""));
    }

    #[test]
    fn salt_and_iterations_come_from_the_stored_verifier() {
        assert!(verifier_matches(&scram_verifier("pw", b"another salt", 17), "pw"));
    }

    #[test]
    fn forms_that_match_nothing() {
        let good = scram_verifier("pw", b"salt", 1);
        for broken in [
            "",
            "md5d8578edf8458ce06fbc5bb76a58c5ca4",
            "SCRAM-SHA-256$",
            "SCRAM-SHA-256$0:c2FsdA==$AAAA:AAAA",
            "SCRAM-SHA-256$99999999999:c2FsdA==$AAAA:AAAA",
            &good[..good.len() - 4],
        ] {
            assert!(!verifier_matches(broken, "pw"), "{broken}");
        }
    }

    #[test]
    fn a_password_that_is_a_verifier_goes_as_it_is() {
        let verifier = scram_verifier("pw", b"salt", 4096);
        assert_eq!(expected_verifier(&verifier, b"other"), verifier);
        assert!(verifier_matches(&verifier, &verifier));
        assert!(is_verifier("md5d8578edf8458ce06fbc5bb76a58c5ca4"));
        assert!(!is_verifier("SCRAM-SHA-256 is nice"));
    }

    #[test]
    fn states() {
        let verifier = scram_verifier("pw", b"salt", 1);
        assert_eq!(password_state(None, Some(&verifier)), PasswordState::Unknown);
        assert_eq!(password_state(Some("pw"), Some(&verifier)), PasswordState::Matches);
        assert_eq!(password_state(Some("no"), Some(&verifier)), PasswordState::Differs);
        assert_eq!(password_state(Some("pw"), None), PasswordState::Differs);
    }
}
