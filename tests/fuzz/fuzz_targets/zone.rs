//! Any text as a zone: it compiles or is refused, and says where; it never panics.
#![no_main]

use aya_gslb::config::{SourceFile, compile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // `#---` splits the input into files, so that what one declares and another uses is met, too; master files are the input itself.
    let sources = text.split("#---").zip(0..8).map(|(text, index)| SourceFile { name: format!("{index}.toml").into(), text: text.into() });
    let outcome = compile(sources.collect(), &|_, path| Ok((path.to_owned(), text.to_owned())));
    let (diagnostics, sources) = match outcome {
        Ok(loaded) => (loaded.lints, loaded.sources),
        Err(failure) => {
            assert!(!failure.diagnostics.is_empty(), "a refusal says why");
            (failure.diagnostics, failure.sources)
        }
    };
    for spot in diagnostics.iter().filter_map(|diagnostic| diagnostic.spot.as_ref()) {
        let source = sources.iter().find(|source| source.name == spot.file);
        assert!(spot.line >= 1 && spot.column >= 1);
        assert!(source.is_none_or(|source| source.text.get(spot.span.clone()).is_some()), "the span lies within the text");
    }
});
