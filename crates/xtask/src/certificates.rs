//! Certificates of the local cluster: one authority, one serving certificate, and
//! client certificates that carry a user (common name) and a group (organisation).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

use crate::network;

/// A client of the API server.
pub struct Client {
    /// Base name of the files.
    pub name: String,
    /// User of RBAC.
    pub user: String,
    /// Group of RBAC.
    pub group: &'static str,
}

/// All clients of a cluster with so many nodes.
pub fn clients(nodes: usize) -> Vec<Client> {
    let client = |name: &str, user: &str, group| Client { name: name.into(), user: user.into(), group };
    let mut all = vec![
        client("admin", "admin", "system:masters"),
        client("controller-manager", "system:kube-controller-manager", ""),
        client("scheduler", "system:kube-scheduler", ""),
        client("proxy", "system:kube-proxy", "system:node-proxier"),
        client("coredns", "system:coredns", "system:masters"),
        client("kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
    ];
    for node in 1..=nodes {
        let name = network::node_name(node);
        all.push(client(&name, &format!("system:node:{name}"), "system:nodes"));
    }
    all
}

/// Writes every key and certificate that is not there yet into `dir`.
pub fn ensure(dir: &Path, clients: &[Client]) -> Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    let authority = authority(dir)?;
    if !dir.join("service-accounts.pub").exists() {
        let key = KeyPair::generate()?;
        write(&dir.join("service-accounts.key"), &key.serialize_pem())?;
        write(&dir.join("service-accounts.pub"), &key.public_key_pem())?;
    }
    let mut server = params("kube-apiserver", "");
    server.subject_alt_names = CertificateParams::new(server_names())?.subject_alt_names;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    issue(dir, "server", server, &authority)?;
    for client in clients {
        let mut client_params = params(&client.user, client.group);
        client_params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        issue(dir, &client.name, client_params, &authority)?;
    }
    Ok(())
}

fn server_names() -> Vec<String> {
    [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "127.0.0.1",
        network::BRIDGE_ADDRESS,
        network::FIRST_SERVICE_ADDRESS,
    ]
    .map(str::to_owned)
    .to_vec()
}

fn authority(dir: &Path) -> Result<Issuer<'static, KeyPair>> {
    let (certificate, key) = paths(dir, "ca");
    if !certificate.exists() {
        let mut authority = params("matriarch-local", "");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let pair = KeyPair::generate()?;
        write(&key, &pair.serialize_pem())?;
        write(&certificate, &authority.self_signed(&pair)?.pem())?;
    }
    let pair = KeyPair::from_pem(&fs::read_to_string(&key)?)
        .with_context(|| format!("{} holds no key: remove {} and try again", key.display(), dir.display()))?;
    let mut authority = params("matriarch-local", "");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(Issuer::new(authority, pair))
}

fn issue(dir: &Path, name: &str, mut params: CertificateParams, authority: &Issuer<KeyPair>) -> Result<()> {
    let (certificate, key) = paths(dir, name);
    if certificate.exists() {
        return Ok(());
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let pair = KeyPair::generate()?;
    write(&key, &pair.serialize_pem())?;
    write(&certificate, &params.signed_by(&pair, authority)?.pem())
}

fn params(common_name: &str, organisation: &str) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if !organisation.is_empty() {
        name.push(DnType::OrganizationName, organisation);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params
}

/// Certificate and key of a name.
pub fn paths(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")))
}

fn write(path: &Path, content: &str) -> Result<()> {
    crate::files::write_atomically(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}
