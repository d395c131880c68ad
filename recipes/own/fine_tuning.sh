# shellcheck shell=bash
# shellcheck disable=SC2154  # names are of run.sh, names.sh and utils/stages.sh
# Sourced by run.sh: commands of --fine-tune and --own-domain.
#   pack_domain                  the trials' audio of --own-domain -> $domain_packed/$domain
#   extract_domain NETWORK SYSTEM   its embeddings
#   train_domain_backend SYSTEM  its back end: plain cosine, since the corpus' mean is of another domain
#   judge_fine_tuning            paired tests of the two networks, and what they say

domain_scorer=own_domain_cosine

pack_domain() {
  local packed_set=$domain_packed/$domain
  $cmd JOB=1:"$nj" "$packed_set/log/pack.JOB.log" python3 -m steps.pack_audio "$own_domain" "$packed_set" \
    --sample-rate-hz "$sample_rate_hz" --channel "$channel" --min-speech-seconds 0 \
    --allow-pipes "$allow_pipes" --job "JOB/$nj"
  run python3 -m steps.collect_packed "$own_domain" "$packed_set" --jobs "$nj"
}

extract_domain() {
  $cmd JOB=1:"$nj" "$2/log/extract_$domain.JOB.log" python3 -m steps.extract "$1" "$domain_packed" \
    "$2/embeddings" --sets "[$domain]" --device "$device" --job "JOB/$nj"
  run python3 -m steps.collect_embeddings "$domain_packed/$domain" "$2/embeddings/$domain" --jobs "$nj"
}

train_domain_backend() {
  run python3 -m steps.train_backend "$1/embeddings/$domain" "$1/backend/$domain_scorer" --subtract-mean false
}

judge_fine_tuning() {
  local experiments scorer
  experiments=$(json_list "$exp" "$untrained")
  scorer=$(first_scorer)
  run python3 -m steps.compare "$packed" "$exp/compared" --experiments "$experiments" --scorers "[$scorer]"
  [ -z "$domain" ] || run python3 -m steps.compare "$domain_packed" "$exp/compared_own_domain" \
    --experiments "$experiments" --scorers "[$domain_scorer]" --sets "[$domain]" --players false
  run python3 -m local.judge_fine_tuning "$exp" "$exp/compared" \
    ${domain:+--own-domain "$exp/compared_own_domain"}
}
