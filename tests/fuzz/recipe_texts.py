"""Texts that are no recipe, that grow when they are read, or that name what no recipe can use."""

from __future__ import annotations

_YAML = (
    *("name: 2024-13-45\n", "name: x\na: &a [*a]\n", "a: &a {b: *a}\nname: x\n", "? [a]\n: b\n", "? {a: b}\n: c\n"),
    *("name: !!bool maybe\n", "name: !!int x\n", "name: !!timestamp 99\n", "name: !!binary '***'\n", "!!map [a]\n"),
    *("name: !!set {a, b}\n", "name: !!omap [a: 1]\n", "!!python/name:os.system ''\n", "name: !<tag:x> y\n"),
    *("name: !!python/object/apply:os.system [touch PWNED]\n", "%YAML 9.9\n---\nname: x\n", "name: x\n---\nname: y\n"),
    *("%TAG ! tag:x,2000:\n---\n!a name: x\n", "<<: {name: x}\n", "<<: [1]\nname: x\n", "<<: &a [*a]\n", "name: [\n"),
    *('name: "\\ud800"\n', 'name: x\ndescription: "\\ud800"\n', 'name: "\\x00"\n', "name: 'x\n", "\tname: x\n"),
    *("name: x\n\tseed: 1\n", "- a\n", "x\n", "", "\0", "\ufeffname: x\n", "# only\n", "...\n", "---\n...\n---\n", "~"),
    *(
        "null: x\n",
        "1: x\n",
        "1.5: x\n",
        "true: x\nname: x\n",
        "name: x\nname: y\n",
        "name: 1_000\n",
        "name: *unknown\n",
    ),
    *("name: &a x\nseed: *a\n", "name: >9\n x\n"),
)
_NUMBERS = (
    *("0x" + "f" * 6_000, "9" * 6_000, "1e999", ".inf", ".nan", "190:20:30:59:" + "59:" * 2_000 + "1"),
    *("0o" + "7" * 6_000, "0b" + "1" * 9_000, "1" * 40, "-1", "1.5", "1_0", "0x", "+1", "1e3", "!!int '9'", "2**9"),
)
_MASKS = (
    *('kind: autoencoder, checkpoint: "a\\0b"', "kind: autoencoder, checkpoint: ~nobodyhere/x"),
    *("kind: autoencoder, checkpoint: /dev/null", "kind: picture, path: /dev/zero, anchors: /dev/zero"),
    *("kind: picture, path: mask.png, anchors: /dev/zero", "kind: picture, path: '', anchors: ''"),
    *("kind: picture, path: ., anchors: .", "kind: autoencoder, checkpoint: ''", "kind: autoencoder, checkpoint: ."),
)
_SOURCES = (
    *("path: '{0..9999999999}.tar'", f"path: '{'{0..99}' * 6}.tar'", f"path: '{{{',' * 20_000}}}.tar'"),
    *("path: '{1..٣}.tar'", "path: '[.tar'", "path: '**/**/**/*.tar'", "path: '{a,{b,{c.tar'", "path: '{9..0}.tar'"),
    *("path: 'https://e.invalid/a.tar'", "path: ~nobodyhere", 'path: "a\\0.tar"', "path: /dev/zero", "path: '~'"),
    *(f"path: /dev/zero, kind: {kind}" for kind in ("table", "shards", "recordio", "people")),
    *("path: ., kind: path_pattern, pattern: '{identity}{identity}'", "path: ., kind: celebamask_hq"),
    *(f"path: ., kind: path_pattern, pattern: '{{{'a' * 900}}}/*'", "path: ., kind: path_pattern, pattern: '('"),
    *(f"path: ., include: ['{'*a' * 40}']", "path: photos.csv, include: ['[']", "path: photos.csv, root: /dev/zero"),
    *('path: photos.csv, root: "a\\0b"', "path: photos.csv, columns: {uri: ''}", "path: photos.csv, kind: shards"),
    *("path: photos.csv, columns: {uri: landmarks}", "path: ., kind: label_maps, labels: /dev/zero", "path: x/0.jpg/y"),
)
_REST = (
    *(f"output: {{shards: {{bytes: {size}}}}}" for size in (f"'{'9' * 400}GB'", "'1e9'", "-1", "'0'", "'1.5.5MB'")),
    *("lowres: {mode: askd, sizes_from: /dev/zero}", "lowres: {mode: sampled, sizes_from: /dev/zero}"),
    *('lowres: {mode: sampled, sizes_from: "a\\0"}', "lowres: {mode: sampled, sizes_from: sizes.txt}"),
    *(f"faces: {{landmark_model: {path}}}" for path in ("/dev/zero", "photos.csv", '"a\\0"', ".", "~nobody/x")),
    *(f"output: {{features: {{model: {path}}}}}" for path in ("/dev/zero", "photos.csv", '"a\\0"', ".")),
    *("align: {size: [64, 64, 64]}", "align: {size: 1e9}", "split: {shares: {train: .nan}}", "masks: [[[]]]"),
    *("masks: {}", "sources: 7", "per_face: 1000000000", "faces: {max_pixels: 1000000000000000000000}"),
)
_LONG = (
    *("name: x\n" + "a" * 200_000, "a: " * 20_000, "[" * 50_000, "{a: " * 50_000, "- " * 50_000, "&a " * 5_000),
    *("!" * 50_000, "'" * 50_001, "? " * 20_000, "name: x\n" * 20_000, "name: |\n" + "  x\n" * 50_000),
    *("a: [" * 40 + "]" * 40, "#" * 200_000, " " * 200_000, "\n" * 200_000, '"\\U0001F600' * 20_000, "*a " * 50_000),
)

TEXTS: tuple[str, ...] = (
    *_YAML,
    *_LONG,
    *(f"name: x\nseed: {number}\n" for number in _NUMBERS),
    *(f"name: x\nper_face: {number}\n" for number in _NUMBERS[:5]),
    *(f"name: x\nmasks: [{{{mask}}}]\n" for mask in _MASKS),
    *(f"name: x\nsources: [{{{source}}}]\n" for source in _SOURCES),
    *(f"name: x\n{rest}\n" for rest in _REST),
)
"""None names a file outside its folder that another run would change."""
