"""DINOv3 from the hub, played by a server on loopback: taken where it is given, one sentence where not."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save

from perception.backbones.errors import BackboneError
from perception.backbones.pretrained import load_pretrained
from perception.backbones.settings import VitDimensions
from perception.backbones.timm_import import import_timm
from perception.backbones.vit import build_dinov3

HUB_NAME = "vit_small_patch16_dinov3_qkvb.lvd1689m"
SMALL = VitDimensions(embed_dim=384, depth=12, num_heads=6, mlp_dim=1536)
CONFIGURATION = {
    "backbone": SMALL.model_dump(),
    "taps": [2, 5, 8, 11],
    "decoder_dim": 32,
    "mamba_state": 4,
    "depth_bins": 8,
    "num_classes": 40,
    "tasks": ["semseg", "depth"],
    "lora": {"rank": 4, "alpha": 8.0, "targets": ["q_proj", "k_proj", "v_proj"]},
    "image_size": [64, 96],
    "label_space": "nyu40",
}


@pytest.fixture(scope="module")
def published():
    """A network as the hub would have it, with weights of its own."""
    torch.manual_seed(7)
    model = import_timm().create_model(HUB_NAME, num_classes=0).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model


class Hub(ThreadingHTTPServer):
    """Hands out the files of one model, or refuses everything."""

    def __init__(self, files, refuse=False):
        self.files, self.refuse = files, refuse
        super().__init__(("127.0.0.1", 0), HubRequest)


class HubRequest(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        content = self.answer()
        if content is not None:
            self.wfile.write(content)

    def answer(self):
        content = self.server.files.get(self.path.partition("?")[0])
        if self.server.refuse or content is None:
            self.send_response(401 if self.server.refuse else 404)
            if self.server.refuse:
                self.send_header("X-Error-Code", "GatedRepo")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"0123456789abcdef"')
        self.send_header("X-Repo-Commit", "0123456789abcdef0123456789abcdef01234567")
        self.end_headers()
        return content

    def log_message(self, *arguments):
        pass


def initial_weights(tmp_path, hub):
    """The command of a user whose hub is at another address."""
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    thread = threading.Thread(target=hub.serve_forever)
    thread.start()
    environment = os.environ | {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_HOME": str(tmp_path / "hub"),
        "NO_PROXY": "127.0.0.1",
    }
    command = [str(Path(sys.executable).with_name("harness")), "perception", "init-weights"]
    try:
        return subprocess.run(
            [*command, "--config", "small.yaml", "--output", "start.safetensors"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


def test_a_backbone_with_published_weights_computes_what_the_published_one_does(published, monkeypatch):
    monkeypatch.setattr(import_timm(), "create_model", lambda *_, **__: published)
    backbone = build_dinov3(SMALL, (2, 11), None).eval()
    assert load_pretrained(backbone, SMALL) == HUB_NAME
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = published.forward_intermediates(
            images, indices=[2, 11], norm=False, intermediates_only=True
        )
        found = backbone(images).taps
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_training_can_start_from_what_the_hub_hands_out(published, tmp_path):
    weights = save({name: tensor.contiguous() for name, tensor in published.state_dict().items()})
    path = f"/timm/{HUB_NAME}/resolve/main/model.safetensors"
    finished = initial_weights(tmp_path, Hub({path: weights}))
    assert finished.returncode == 0, finished.stderr
    written = load_file(tmp_path / "start.safetensors")
    projection = "hfa_adapter.backbone.vit.blocks.3.attn.q_proj"
    torch.testing.assert_close(
        written[f"{projection}.base_layer.weight"], published.blocks[3].attn.qkv.weight[:384]
    )
    assert not written[f"{projection}.lora_B.default.weight"].any()


def test_a_hub_that_refuses_gives_one_sentence(tmp_path):
    finished = initial_weights(tmp_path, Hub({}, refuse=True))
    assert finished.returncode == 2
    assert "the hub does not hand out the weights 'vit_small_patch16_dinov3_qkvb.lvd1689m'" in finished.stderr
    assert "accept their licence" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert not (tmp_path / "start.safetensors").exists()


def test_dimensions_that_were_never_published_are_refused_with_those_that_were():
    dimensions = VitDimensions(embed_dim=160, depth=6, num_heads=5, mlp_dim=640)
    with pytest.raises(BackboneError, match="384 wide with 12 blocks"):
        load_pretrained(build_dinov3(dimensions, (1, 5), None), dimensions)
