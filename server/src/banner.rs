//! What a person sees when the server is ready.

use std::fmt::Write as _;

use crate::{
    config::{Config, TlsMode},
    run_file::Addresses,
    tls::LocalCa,
};

/// Where everything is, and two lines that work when pasted.
pub(crate) fn banner(config: &Config, addresses: &Addresses, default_password: bool) -> String {
    let tls = config.tls.mode != TlsMode::Off;
    let (http, ws) = if tls {
        ("https", "wss")
    } else {
        ("http", "ws")
    };
    let port = addresses.http.port();
    let local = (config.tls.mode == TlsMode::Auto).then(|| LocalCa::in_data_dir(&config.data_dir));
    let ca = local.as_ref().map(|l| l.ca.display().to_string());
    let password = if default_password {
        "admin"
    } else {
        "PASSWORD"
    };

    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {label:<12} {value}");
    };
    line("API", format!("{http}://localhost:{port}/docs"));
    line("WebSocket", format!("{ws}://localhost:{port}/mqtt"));
    if let Some(at) = addresses.mqtt_tls {
        line("MQTT (TLS)", at.to_string());
    }
    if let Some(at) = addresses.mqtt_tcp {
        line("MQTT (plain)", at.to_string());
    }
    line("data", config.data_dir.display().to_string());
    if let Some(ca) = &ca {
        line("local CA", ca.clone());
    }

    let curl_ca = ca
        .as_ref()
        .map(|ca| format!(" --cacert '{ca}'"))
        .unwrap_or_default();
    let mut try_it = format!(
        "  curl{curl_ca} {http}://localhost:{port}/api/v1/auth/login -H 'Content-Type: application/json' \
         -d '{{\"username\":\"admin\",\"password\":\"{password}\"}}'\n"
    );
    let mqtt = match (addresses.mqtt_tls, addresses.mqtt_tcp) {
        (Some(at), _) if tls => Some((
            at,
            ca.as_ref()
                .map(|ca| format!(" --cafile '{ca}'"))
                .unwrap_or_default(),
        )),
        (Some(at), _) | (None, Some(at)) => Some((at, String::new())),
        (None, None) => None,
    };
    if let Some((at, ca)) = mqtt {
        let _ = writeln!(
            try_it,
            "  mosquitto_sub{ca} -h localhost -p {} -u admin -P {password} -t users/admin/notifications -q 1",
            at.port()
        );
    }
    let warning = if default_password {
        "\nThe administrator is admin with the password admin. Change it: herald admin reset-password admin\n"
    } else {
        ""
    };
    format!(
        "\nHerald {} is ready.\n\n{text}\nTry it:\n{try_it}{warning}",
        env!("CARGO_PKG_VERSION")
    )
}
