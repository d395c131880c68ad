#!/usr/bin/env bash
# Scores that the authors of GhostVLAD published for six trainings, on VoxCeleb1's list O: error rates, paired
# tests and their fusion.  Nothing is trained, and no audio is needed.
#
#   recipes/voxceleb1/published_scores.sh FOLDER VERI_TEST [--replicates 1000 ...]
#
# FOLDER receives the score files, downloaded from the authors' repository if missing, the fusion, and
# results/{report.html,results.md,results.json,differences.json}.  VERI_TEST is the official veri_test.txt
# (37,720 trials).  Further arguments are options of steps.evaluate_scores.

set -euo pipefail
folder=$(realpath -m "${1:?a folder, then veri_test.txt, then options of steps.evaluate_scores}")
trials=$(realpath "${2:?veri_test.txt, the official list O}")
shift 2
here=$(dirname "$0")
cd "$here/../.." && . ./path.sh

commit=f56875ec1025216e29b49ee87ad446ee47c0f21f
site=https://raw.githubusercontent.com/WeidiXie/VGG-Speaker-Recognition/$commit/result
end=vlad8_ghost2_bdim512_ohemlevel
# name, folder in the repository
published="\
am_0111 gvlad_amsoftmax/2019-01-11_resnet34_bs142_adam_lr0.001_${end}0
am_0117 gvlad_amsoftmax/2019-01-17_resnet34_bs160_sgd_lr0.05_${end}0
am_0121 gvlad_amsoftmax/2019-01-21_resnet34_bs160_sgd_lr0.001_${end}0
sm_0104 gvlad_softmax/2019-01-04_resnet34_bs142_sgd_lr0.1_vlad12_ghost2_bdim256
sm_0111 gvlad_softmax/2019-01-11_resnet34_bs142_adam_lr0.001_${end}2
sm_0121 gvlad_softmax/2019-01-21_resnet34_bs142_adam_lr0.001_${end}3"
digests="\
b8942a5f90c1e499197b63ff5526c0aec70c585abdc365b6e50b579edfb12259  am_0111.npy
18e6b684b3fff4c3a0b12d515bfb3561d239ffb53e6dbc6f487c0c11ccbe68fa  am_0117.npy
e05e7f46e23e96f60eab774725b8cf6282ceedd3e9ffc76cb488a572e931e307  am_0121.npy
3c2ae2688131b5c16fb70ad1f007738441b39b45440706297876ddfade5bd6ee  sm_0104.npy
7a25534fd5a916a516a7fffac968a2bf91058d28e2c5b46fc2da4c3a21f8ed22  sm_0111.npy
1b2eb472122d20edb506ba6bba2fdf2e69bc0e53fd41a35901036424a9825091  sm_0121.npy"

mkdir -p "$folder"
scores=()
while read -r name remote_folder; do
  file=$folder/$name.npy
  if [ ! -e "$file" ]; then
    curl -fsSL "$site/$remote_folder/prediction_scores.npy" -o "$file.part"
    mv "$file.part" "$file"
  fi
  scores+=("$file")
done <<<"$published"
(cd "$folder" && sha256sum --check --quiet <<<"$digests") || {
  echo "$0: a file of $folder differs from the published one: remove it, and run the same command again" >&2
  exit 1
}

# Files are in folders named by their speakers.
awk '{print $2; print $3}' "$trials" | sort -u | awk -F / '{print $0, $1}' >"$folder/utt2spk"

fused=$folder/fused.scores
python3 -m steps.cross_calibrate "${scores[@]}" "$trials" "$fused" --utt2spk "$folder/utt2spk"
python3 -m steps.evaluate_scores "${scores[@]}" "$fused" "$trials" "$folder/results" \
  --utt2spk "$folder/utt2spk" "$@"
