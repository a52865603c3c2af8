//! Clients generated from the plain profile of the document compile.
//!
//! `cargo test -p loyalty-http --test api generated -- --ignored` runs them. They take minutes, and
//! the generators are installed once, below the target directory. Where a registry cannot be
//! reached, a test says so and passes; with `LOYALTY_REQUIRE_CLIENTS=1` it fails instead.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::{install_node, install_python, is_installed, place, python, run};

const OPENAPI_TYPESCRIPT: [&str; 2] = ["openapi-typescript@7.13.0", TYPESCRIPT];
const TYPESCRIPT: &str = "typescript@5.9.3";
const OPENAPI_PYTHON_CLIENT: [&str; 2] = ["openapi-python-client==0.29.1", "ruff==0.17.6"];
/// With Java's packages, and what its Python client imports.
const OPENAPI_GENERATOR: [&str; 5] = [
    "openapi-generator-cli==7.26.0",
    "pydantic==2.14.4",
    "python-dateutil==4.0.0",
    "typing-extensions==4.16.0",
    "urllib3==2.8.0",
];

/// Imports all modules of a package, and prints their number.
const IMPORT_ALL: &str = "
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
package = importlib.import_module(sys.argv[2])
names = [module.name for module in pkgutil.walk_packages(package.__path__, sys.argv[2] + '.')]
for name in names:
    importlib.import_module(name)
print(len(names))
";

/// A fresh folder with the plain document in it, and the document's path.
fn workspace(name: &str) -> (PathBuf, PathBuf) {
    let folder = place(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let document = folder.join("openapi.json");
    fs::write(&document, loyalty_http::openapi::plain_document()).unwrap();
    (folder, document)
}

fn succeed(command: &mut Command) -> String {
    run(command).unwrap_or_else(|failure| panic!("{failure}"))
}

/// Compiles all files of TypeScript in a folder.
fn compile_typescript(tools: &Path, folder: &Path) {
    let settings = r#"{
        "compilerOptions": {
            "strict": true, "noEmit": true, "target": "es2020", "module": "commonjs",
            "lib": ["es2020", "dom"]
        },
        "include": ["**/*.ts"]
    }"#;
    fs::write(folder.join("tsconfig.json"), settings).unwrap();
    let compiler = tools.join("node_modules/typescript/bin/tsc");
    succeed(Command::new("node").arg(compiler).arg("-p").arg(folder));
}

fn import_all(tools: &Path, folder: &Path, package: &str) -> usize {
    let mut command = Command::new(python(tools));
    command.args(["-c", IMPORT_ALL]).arg(folder).arg(package);
    succeed(&mut command).trim().parse().unwrap()
}

#[test]
#[ignore = "takes minutes, and the registry of npm"]
fn types_of_openapi_typescript_compile() {
    let tools = place(OPENAPI_TYPESCRIPT[0]);
    if !is_installed(OPENAPI_TYPESCRIPT[0], install_node(&tools, &OPENAPI_TYPESCRIPT)) {
        return;
    }
    let (folder, document) = workspace("client-openapi-typescript");
    let generator = tools.join("node_modules/openapi-typescript/bin/cli.js");
    let mut command = Command::new("node");
    command
        .arg(generator)
        .arg(document)
        .arg("-o")
        .arg(folder.join("schema.ts"));
    succeed(&mut command);

    let example = "
        import type { components, paths } from \"./schema\";
        type Add = paths[\"/v1/points-add\"][\"post\"];
        export const body: Add[\"requestBody\"][\"content\"][\"application/json\"] =
            { customer_id: \"42\", points: 250 };
        export function balance(
            result: Add[\"responses\"][200][\"content\"][\"application/json\"],
        ): number { return result.point_balance; }
        export function code(problem: components[\"schemas\"][\"Problem\"]): string {
            return problem.code;
        }";
    fs::write(folder.join("example.ts"), example).unwrap();
    compile_typescript(&tools, &folder);
}

#[test]
#[ignore = "takes minutes, and the registry of Python"]
fn the_client_of_openapi_python_client_imports() {
    let tools = place(OPENAPI_PYTHON_CLIENT[0]);
    if !is_installed(OPENAPI_PYTHON_CLIENT[0], install_python(&tools, &OPENAPI_PYTHON_CLIENT)) {
        return;
    }
    let (folder, document) = workspace("client-openapi-python-client");
    let binaries = python(&tools);
    let mut command = Command::new(binaries.with_file_name("openapi-python-client"));
    command.args(["generate", "--meta", "none", "--fail-on-warning", "--path"]);
    command
        .arg(document)
        .arg("--output-path")
        .arg(folder.join("loyalty_client"));
    // It formats its output with the `ruff` beside it.
    let path = std::env::var("PATH").unwrap_or_default();
    let beside = binaries.parent().unwrap().display().to_string();
    succeed(command.env("PATH", format!("{beside}:{path}")));
    assert!(import_all(&tools, &folder, "loyalty_client") > 100);
}

/// Runs the generator; false where it could not be installed.
fn generate(tools: &Path, language: &str, document: &Path, into: &Path) -> bool {
    let java = run(Command::new("java").arg("-version")).map(drop);
    let installed = java.and_then(|()| install_python(tools, &OPENAPI_GENERATOR));
    if !is_installed(OPENAPI_GENERATOR[0], installed) {
        return false;
    }
    let mut command = Command::new(python(tools).with_file_name("openapi-generator-cli"));
    command
        .args(["generate", "-g", language, "-i"])
        .arg(document)
        .arg("-o")
        .arg(into);
    succeed(&mut command);
    true
}

#[test]
#[ignore = "takes minutes, the registry of Python, and Java"]
fn the_python_client_of_openapi_generator_imports() {
    let tools = place("openapi-generator-python");
    let (folder, document) = workspace("client-openapi-generator-python");
    if generate(&tools, "python", &document, &folder.join("client")) {
        assert!(import_all(&tools, &folder.join("client"), "openapi_client") > 100);
    }
}

#[test]
#[ignore = "takes minutes, the registries of Python and npm, and Java"]
fn the_typescript_client_of_openapi_generator_compiles() {
    let (tools, compiler) = (place("openapi-generator-typescript"), place(TYPESCRIPT));
    if !is_installed(TYPESCRIPT, install_node(&compiler, &[TYPESCRIPT])) {
        return;
    }
    let (folder, document) = workspace("client-openapi-generator-typescript");
    if generate(&tools, "typescript-fetch", &document, &folder.join("client")) {
        compile_typescript(&compiler, &folder.join("client"));
    }
}
