//! Certificates: what is taken, what is refused and in which words, and what a renewal does.

use std::fs;

use aya_gslb::server::tls::{CertificateFiles, Certificates, Protocol, Renewed};
use aya_gslb::units::Moment;

use crate::made::{DAY, Made, NEW_YEAR, folder, write};

#[test]
fn chain_and_key_that_belong_together_are_taken_also_out_of_one_file() {
    let made = Made::until(2027);
    let files = made.write(&folder("taken"));
    let validity = Certificates::load(files.clone()).unwrap().validity();
    assert_eq!((validity.from, validity.until), (NEW_YEAR, NEW_YEAR.plus_millis(365 * DAY)));
    assert!(validity.holds(NEW_YEAR) && !validity.holds(Moment(NEW_YEAR.0 - 1)) && !validity.holds(NEW_YEAR.plus_millis(366 * DAY)));
    assert!(!validity.is_ending(NEW_YEAR.plus_millis(328 * DAY)) && validity.is_ending(NEW_YEAR.plus_millis(329 * DAY)));
    fs::write(&files.chain, format!("{}{}", made.key, made.certificate)).unwrap();
    let one = CertificateFiles { key: files.chain.clone(), ..files };
    assert_eq!(Certificates::load(one).unwrap().validity(), validity);
}

#[test]
fn what_cannot_be_used_is_refused_with_its_file_and_never_with_a_word_of_the_key() {
    let (made, other) = (Made::until(2027), Made::until(2027));
    let folder = folder("refused");
    let damaged = made.certificate.replace("MII", "NII");
    let cut = &made.key[..made.key.len() / 2];
    let locked = made.key.replace(" PRIVATE", " ENCRYPTED PRIVATE");
    let secret = made.key.lines().nth(1).unwrap();
    let no_base64 = made.key.replace(secret, &format!("{secret}!"));
    let zeroed = made.key.replace(secret, &"A".repeat(secret.len()));
    let long = " ".repeat(1 << 20) + "\n" + &made.certificate;
    let cases: [(&str, &str, &str, &str); 10] = [
        ("no certificate", "", &made.key, "there is no certificate in CHAIN: no PEM block CERTIFICATE"),
        ("the key as chain", &made.key, &made.key, "there is no certificate in CHAIN: no PEM block CERTIFICATE"),
        ("a damaged certificate", &damaged, &made.key, "the first certificate in CHAIN is damaged"),
        ("a text of a megabyte", &long, &made.key, "CHAIN is larger than 1048576 octets: it holds more than a certificate or a key"),
        ("no key", &made.certificate, "", "there is no private key in KEY: no PEM block PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY"),
        ("a cut key", &made.certificate, cut, "KEY is no whole PEM text: a block has no END line"),
        ("a key with a letter too many", &made.certificate, &no_base64, "KEY is no whole PEM text: a block is no base64"),
        (
            "a key with a pass phrase",
            &made.certificate,
            &locked,
            "the private key in KEY has a pass phrase, and a node has nobody to ask for it: write it without one (openssl pkey)",
        ),
        (
            "a damaged key",
            &made.certificate,
            &zeroed,
            "the private key in KEY cannot be used: it is damaged, or neither RSA of 2048 bits or more nor ECDSA of P-256, P-384 or P-521 nor Ed25519",
        ),
        (
            "another's key",
            &made.certificate,
            &other.key,
            "the private key in KEY is not that of the first certificate in CHAIN (the server's own comes first, then its issuers)",
        ),
    ];
    for (what, chain, key, expected) in cases {
        let files = write(&folder, chain, key);
        let error = Certificates::load(files.clone()).unwrap_err();
        let told = error.to_string().replace(files.chain.to_str().unwrap(), "CHAIN").replace(files.key.to_str().unwrap(), "KEY");
        assert_eq!(told, expected, "{what}");
        assert!(!format!("{error:?}").contains(&secret[..16]), "{what}: {error:?}");
    }
    let missing = CertificateFiles { chain: folder.join("nowhere.pem"), key: folder.join("key.pem") };
    let error = Certificates::load(missing).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {}", folder.join("nowhere.pem").display()));
}

#[test]
fn a_renewed_certificate_replaces_the_old_one_and_a_broken_one_does_not() {
    let folder = folder("renewed");
    let (old, new) = (Made::until(2027), Made::until(2028));
    let certificates = Certificates::load(old.write(&folder)).unwrap();
    let now = NEW_YEAR.plus_millis(100 * DAY);
    let before = certificates.validity();
    assert_eq!(certificates.renew(now).unwrap(), Renewed::Same(before));

    // Halfway through: the chain is the new one, the key still the old.
    write(&folder, &new.certificate, &old.key);
    assert!(certificates.renew(now).is_err());
    fs::remove_file(&certificates.files().key).unwrap();
    assert!(certificates.renew(now).is_err());
    assert_eq!(certificates.validity(), before);

    // It has ended already: that is no renewal.
    new.write(&folder);
    let late = NEW_YEAR.plus_millis(1_000 * DAY);
    let error = certificates.renew(late).unwrap_err().to_string();
    assert!(error.ends_with("is valid from 2026-01-01T00:00:00Z until 2028-01-01T00:00:00Z, and not now"), "{error}");
    assert_eq!(certificates.validity(), before);

    let Renewed::Other(after) = certificates.renew(now).unwrap() else { panic!("the new one was not taken") };
    assert_eq!((certificates.validity(), after.until), (after, NEW_YEAR.plus_millis(730 * DAY)));
}

#[test]
fn each_protocol_has_its_names_and_none_takes_early_data() {
    let certificates = Certificates::load(Made::until(2027).write(&folder("protocols"))).unwrap();
    let protocols: [(Protocol, &[&[u8]]); 3] = [(Protocol::Tls, &[b"dot"]), (Protocol::Https, &[b"h2", b"http/1.1"]), (Protocol::Quic, &[b"doq"])];
    for (protocol, names) in protocols {
        let config = certificates.server_config(protocol);
        assert_eq!(config.alpn_protocols, names, "{protocol:?}");
        assert!(config.max_early_data_size == 0 && config.ticketer.enabled(), "{protocol:?}");
    }
}
