#!/bin/sh
# Installs the programs that `magic8 bench` is compared with, from the package registry by name and version, into a virtual
# environment under $PEERS_DIR (default: ${TMPDIR:-/tmp}/peers; about 1 GB). Needs Python 3.9 or later with venv, cmake, ninja and
# a C++ compiler. `setup.sh parler` installs
# Parler-TTS alone. JOBS=1 builds with one job. Run again, it keeps what is there.
set -eu
P=${PEERS_DIR:-${TMPDIR:-/tmp}/peers}
mkdir -p "$P/src"
cd "$P"
if [ "${1:-}" = parler ]; then # PyTorch and what belongs to it, 6 GB, in an environment of its own; also what bench/shapes and tools/goldens need
    [ -x venv-parler/bin/python ] || "${PYTHON:-python3.11}" -m venv venv-parler
    printf '%s\n' torch==2.5.1 torchaudio==2.5.1 'numpy<2' 'protobuf<5' sentencepiece==0.2.0 transformers==4.46.1 tokenizers==0.20.3 >parler.txt
    venv-parler/bin/pip install -q -c parler.txt parler-tts==0.2.3 descript-audio-codec-unofficial==1.0.0 gguf==0.19.0 safetensors
    echo "the peer is in $P/venv-parler"
    exit
fi
[ -x venv/bin/python ] || "${PYTHON:-python3}" -m venv venv
. venv/bin/activate

pip install -q faster-whisper==1.2.1 ctranslate2==4.8.5 piper-tts==1.8.0 onnxruntime==1.32.0 lameenc==1.9.0

# llama.cpp as its Python binding carries it, built for this very processor; the binding is told where the library lies
# (LLAMA_CPP_LIB_PATH, set by llm.py), so that an interrupted build goes on where it was.
V=0.3.36
S=src/llama_cpp_python-$V
if [ ! -d "$S" ]; then
    pip download -q --no-deps --no-binary llama-cpp-python "llama-cpp-python==$V" -d src
    tar xzf "$S.tar.gz" -C src
fi
if [ ! -e build-llama/built ]; then
    cmake -S "$S/vendor/llama.cpp" -B build-llama -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=ON \
        -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_TOOLS=OFF \
        -DLLAMA_BUILD_COMMON=OFF >build-llama.log
    nice -n 19 cmake --build build-llama -j"${JOBS:-2}" --target llama >>build-llama.log
    touch build-llama/built
fi
python -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("llama_cpp"))' ||
    CMAKE_ARGS=-DLLAMA_BUILD=OFF nice -n 19 pip install -q --no-binary llama-cpp-python "llama-cpp-python==$V"
echo "the peers are in $P"
