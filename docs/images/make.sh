#!/bin/sh
# Makes the pictures of docs/recipes.md, docs/guide.md, docs/output.md, docs/detectors.md, docs/morphing.md and docs/gallery.md from the demo's public-domain portraits:
# sh docs/images/make.sh FOLDER_FOR_SCRATCH
set -eu
scratch=$1
here=$(dirname "$0")
recipes=$here/../../recipes
bin=$here/../../.venv/bin
python=$bin/python
build() { "$bin/faceloom" build "$1" --source "$2" --out "$scratch/$3" --workers 1 >/dev/null; }
sheet() { rm -f "$here/$1.jpg"; "$bin/faceloom" sheet "$scratch/$1" "$here/$1.jpg" --width "$2" --count "$3"; }

mkdir -p "$scratch"
"$bin/faceloom" demo "$scratch/photos"
# ArcFace crops for the recipe that needs them, and guides from landmarks, since the portraits have no drawn parts.
printf 'name: crops\nsplit: {shares: {train: 1}}\noutput: {image: png}\n' >"$scratch/crops.yaml"
build "$scratch/crops.yaml" "$scratch/photos" crops
{ grep -v '^split' "$recipes/msagan.yaml" | sed 's/missing: reject/missing: landmarks/'; } >"$scratch/msagan.yaml"

for name in masked-pairs mask2face lee2022 nist antimask askd everything; do build "$recipes/$name.yaml" "$scratch/photos" "$name"; done
build "$recipes/arcface.yaml" "$scratch/crops/shards" arcface
build "$scratch/msagan.yaml" "$scratch/photos" msagan
sheet masked-pairs 900 4
sheet mask2face 900 4
sheet lee2022 396 4
sheet nist 684 6
sheet arcface 684 4
sheet msagan 524 2
sheet antimask 700 4
sheet askd 684 4
sheet everything 1200 1

# The two portraits as they are, mixed with each other on either background.
"$python" - "$scratch/portraits" <<'EOF_PYTHON'
import sys
from pathlib import Path
from faceloom.pipelines.demo import load_portraits
for name, portrait in load_portraits().items():
    Path(sys.argv[1], name).mkdir(parents=True, exist_ok=True)
    portrait.save(Path(sys.argv[1], name, "1.png"))
EOF_PYTHON
for background in target gradient; do
    {
        printf 'name: morphs\nalign: {mode: face_box, size: 224, margin: 0.35}\nsplit: {shares: {train: 1}}\noutput: {image: png}\n'
        printf 'morph: {neighbours: 1, background: %s}\n' "$background"
    } >"$scratch/morphs-$background.yaml"
    build "$scratch/morphs-$background.yaml" "$scratch/portraits" "morphs-$background"
done
"$python" "$here/morphs.py" "$scratch/morphs-target" "$scratch/morphs-gradient" "$here/morphs.jpg"

# Drawn glasses, a fabric of one's own, and a whole photo with the boxes of its COCO export.
"$python" "$here/inputs.py" "$scratch/portraits" "$scratch/groups" "$scratch/tartan.png"
variant() { printf 'name: %s\nsplit: {shares: {train: 1}}\n%s\n' "$1" "$2" >"$scratch/$1.yaml"; }
face='per_face: 2
align: {mode: face_box, size: 192, margin: 0.5, beyond: fit}'
variant glasses "$face
masks: [{kind: template, template: surgical}, {kind: template, template: kn95}]
augment: [{kind: Glasses, p: 1}]"
variant fabric "$face
masks: [{kind: template, template: cloth, pattern: $scratch/tartan.png}]"
variant frame 'align: {mode: frame, max_side: 900}
masks: [{kind: template, template: surgical}, {kind: template, template: cloth_patterned}]'
build "$scratch/glasses.yaml" "$scratch/portraits/Eileen_Collins" glasses
build "$scratch/fabric.yaml" "$scratch/portraits" fabric
sheet glasses 900 2
sheet fabric 900 4
build "$scratch/frame.yaml" "$scratch/groups" frame
"$bin/faceloom" export "$scratch/frame" --layout coco --to "$scratch/coco"
"$python" "$here/boxes.py" "$scratch/coco" "$here/frame.jpg"

# The page of a build in the browser of the system.
{
    printf 'name: masked-faces\nper_face: 2\nsplit: {per_identity: 0.7}\nalign: {mode: face_box, size: 192, margin: 0.3}\n'
    printf 'masks: [{kind: template, template: surgical}, {kind: template, template: cloth}, {kind: template, template: kn95}]\n'
} >"$scratch/gallery.yaml"
build "$scratch/gallery.yaml" "$scratch/photos" gallery
"$bin/faceloom" view "$scratch/gallery" --no-open
"$python" "$here/gallery.py" "$scratch/gallery/gallery.html" "$here"
