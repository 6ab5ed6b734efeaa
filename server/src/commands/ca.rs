use anyhow::bail;

use super::print;
use crate::{
    config::{Config, TlsMode},
    tls::LocalCa,
};

/// Prints where the local authority is and how to trust it.
pub(crate) fn ca(config: &Config) -> anyhow::Result<()> {
    if config.tls.mode != TlsMode::Auto {
        bail!("there is no local authority: tls.mode is not auto");
    }
    let ca = std::path::absolute(LocalCa::in_data_dir(&config.data_dir).ca)?;
    if !ca.is_file() {
        bail!(
            "there is no local authority at {} yet; start the server once",
            ca.display()
        );
    }
    let ca = ca.display();
    print(format_args!(
        "{ca}

Trust it where you need it; it can sign for any name, so keep {ca} and its key to yourself:
  curl           --cacert '{ca}'
  mosquitto_sub  --cafile '{ca}'
  Node.js        NODE_EXTRA_CA_CERTS='{ca}'
  Debian         sudo cp '{ca}' /usr/local/share/ca-certificates/herald.crt && sudo update-ca-certificates
  macOS          sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain '{ca}'
  Firefox        Settings > Privacy & Security > View Certificates > Authorities > Import"
    ))?;
    Ok(())
}
