# Makes a folder and writes its name. Once standard input ends, ends all processes that run in it, and removes it. Standard input
# ends with the process that holds the other end, even if that was killed.
#
# usage: sh -c SCRIPT guardian FOLDER SIGNAL, where FOLDER ends with XXXXXX

# Ctrl-C is for that process.
trap '' HUP INT TERM
folder=$(mktemp -d "$1") || exit 1
echo "$folder"
exec >/dev/null
cat

processes() {
  for process in /proc/[0-9]*; do
    if [ "$process/cwd" -ef "$folder/data" ] || [ "$process/cwd" -ef "$folder" ]; then
      echo "${process#/proc/}"
    fi
  done
}

# PostgreSQL that is killed, or interrupted while it makes a cluster, leaves a segment of shared memory. Its id is in the seventh
# line.
left=$(sed -n '7s/.* //p' "$folder/data/postmaster.pid" 2>/dev/null)

turn=0
while pids=$(processes) && [ -n "$pids" ]; do
  case $turn in
    0) kill -s "$2" $pids ;;
    100) kill -s KILL $pids ;;
    200) exit 1 ;;
  esac
  turn=$((turn + 1))
  sleep 0.05
done 2>/dev/null

if [ -n "$left" ]; then
  ipcrm -m "$left" 2>/dev/null
fi
rm -rf "$folder"
