//! Builds the app with npm and makes a table of its files. Without npm the table is empty, and the server says how to get
//! the app: unless `HERALD_WEB` is `required`, which makes that an error. With `skip` the table is always empty.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the app is made of.
const SOURCES: [&str; 10] = [
    "compress.ts",
    "src",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    "slim-mqtt.ts",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.ts",
];

/// The variable that says whether the app is built.
const MODE: &str = "HERALD_WEB";

/// What Vite needs.
const OLDEST_NODE: (u32, u32) = (20, 19);

const LOCK: &str = "package-lock.json";
/// The lock file of what is installed.
const INSTALLED: &str = "node_modules/.herald-lock.json";

/// Vite puts a hash of what is inside into the names of these files.
const HASHED: &str = "/assets/";

/// The table of no files.
const EMPTY: &str = "&[]";

/// Whether the app is built.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Unless Node.js, npm or what npm fetches is missing.
    IfPossible,
    Required,
    Skip,
}

impl Mode {
    fn from_env() -> Result<Self> {
        match env::var(MODE).as_deref() {
            Err(_) | Ok("") => Ok(Self::IfPossible),
            Ok("required") => Ok(Self::Required),
            Ok("skip") => Ok(Self::Skip),
            Ok(other) => Err(format!("{MODE} is required, skip or not set, not {other}").into()),
        }
    }
}

fn main() -> Result<()> {
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
    println!("cargo:rerun-if-env-changed=PATH");
    println!("cargo:rerun-if-env-changed={MODE}");
    let web = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let dist = out.join("dist");
    let mode = Mode::from_env()?;
    let table = match mode {
        Mode::Skip => EMPTY.to_owned(),
        Mode::Required | Mode::IfPossible => match ready(&web) {
            Ok(()) => {
                build(&web, &dist)?;
                table(&dist)?
            }
            Err(why) if mode == Mode::Required => {
                return Err(format!("{MODE}=required: {why}").into());
            }
            Err(why) => {
                println!("cargo:warning=the server comes without its web app: {why}");
                // Never there, and so looked for with each build: what was missing may have been installed.
                println!("cargo:rerun-if-changed={}", out.join("never").display());
                EMPTY.to_owned()
            }
        },
    };
    fs::write(out.join("files.rs"), table)?;
    Ok(())
}

/// Sees to it that Node.js and the app's dependencies are there.
fn ready(web: &Path) -> Result<()> {
    let version = Command::new("node").arg("--version").output();
    let version = version
        .map_err(|_| "Node.js is missing; install Node.js 20.19 or newer and build again")?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    if parsed(&version).is_none_or(|version| version < OLDEST_NODE) {
        let (major, minor) = OLDEST_NODE;
        let text = format!("Node.js {version} is too old; install {major}.{minor} or newer");
        return Err(text.into());
    }
    if is_installed(web) {
        return Ok(());
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let status = Command::new(npm)
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(web)
        .status()
        .map_err(|_| "npm is missing; install Node.js 20.19 or newer with npm and build again")?;
    if !status.success() {
        return Err("npm ci failed in web/; see above, and build again".into());
    }
    fs::copy(web.join(LOCK), web.join(INSTALLED))?;
    Ok(())
}

/// Whether the dependencies that the lock file names are there.
fn is_installed(web: &Path) -> bool {
    let lock = web.join(LOCK);
    // Git gives a file a new time though it is the same.
    let same =
        fs::read(web.join(INSTALLED)).is_ok_and(|of| fs::read(&lock).is_ok_and(|is| is == of));
    // Installed by hand: npm writes this last.
    let by_npm = modified(&web.join("node_modules/.package-lock.json"));
    same || (by_npm.is_some() && by_npm >= modified(&lock))
}

/// `v20.19.1`
fn parsed(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix('v')?.split('.');
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|data| data.modified()).ok()
}

fn build(web: &Path, dist: &Path) -> Result<()> {
    let output = Command::new("node")
        .args(["node_modules/vite/bin/vite.js", "build"])
        .env("HERALD_WEB_OUT", dist)
        .current_dir(web)
        .output()?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        return Err(format!("vite build failed:\n{text}").into());
    }
    Ok(())
}

/// The files of `dist` as a Rust expression.
fn table(dist: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(dist, &mut files)?;
    files.sort();
    let mut table = "&[\n".to_owned();
    for file in files {
        if ["br", "gz"].iter().any(|end| extension(&file) == *end) {
            continue;
        }
        let path = format!("/{}", file.strip_prefix(dist)?.display()).replace('\\', "/");
        let content_type = content_type(&file)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&fs::read(&file)?);
        let hash = hasher.finish();
        let immutable = path.starts_with(HASHED);
        let plain = included(&file);
        let [brotli, gzip] = ["br", "gz"].map(|end| {
            let variant = PathBuf::from(format!("{}.{end}", file.display()));
            match variant.exists() {
                true => format!("Some({})", included(&variant)),
                false => "None".to_owned(),
            }
        });
        writeln!(
            table,
            "File {{ path: {path:?}, content_type: {content_type:?}, hash: \"{hash:016x}\", immutable: {immutable}, \
             plain: {plain}, brotli: {brotli}, gzip: {gzip} }},"
        )?;
    }
    table.push(']');
    Ok(table)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn included(file: &Path) -> String {
    format!("include_bytes!({:?})", file.display().to_string())
}

fn extension(file: &Path) -> &str {
    let extension = file.extension().unwrap_or_default();
    extension.to_str().unwrap_or_default()
}

fn content_type(file: &Path) -> Result<&'static str> {
    Ok(match extension(file) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        other => return Err(format!("{}: what is .{other}?", file.display()).into()),
    })
}
