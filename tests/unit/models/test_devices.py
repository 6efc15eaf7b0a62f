"""Networks learn the same on one device and on several that share each batch, and a CPU is spared what only a GPU can.

A process is split into logical CPUs before it computes anything, so those tests train in processes of their own.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fraud_ml.models.devices import Devices
from fraud_ml.models.epochs import Epochs
from fraud_ml.models.keras_tabular import KerasTabular
from fraud_ml.models.networks import PackedNetworks
from fraud_ml.models.tensorflow_runtime import tf
from fraud_ml.params import KerasTabularParams
from tests.unit.models.test_families import INPUTS, PARAMS, TRAIN
from tests.unit.models.test_fresh_processes import run

LEARN = """
import hashlib, json, sys
import numpy as np
from fraud_ml.models.tensorflow_runtime import tf
asked = json.loads(sys.argv[1])
logical = [tf.config.LogicalDeviceConfiguration()] * asked["cpus"]
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], logical)
from fraud_ml.models.keras_tabular import KerasTabular
from tests.unit.models.test_families import INPUTS, PARAMS, TRAIN, VALIDATION
params = PARAMS.training.keras_tabular.model_copy(update=asked["params"])
model = KerasTabular.fit(INPUTS, TRAIN, VALIDATION, params, seed=7, progress=lambda _: None)
digest = hashlib.sha256(b"".join(weight.tobytes() for _, weight in model.weights())).hexdigest()
print(json.dumps({
    "replicas": model.devices.strategy.num_replicas_in_sync,
    "digest": digest,
    "logits": model.logits(VALIDATION.columns).tolist(),
}))
"""
ON_GPU = {"mixed_precision_on_gpu": True, "jit_compile_on_gpu": True}


def learn(cwd: Path, *, cpus: int = 1, **params: object) -> dict[str, Any]:
    asked = {"cpus": cpus, "params": {"dropout": 0.0, **params}}
    told: dict[str, Any] = json.loads(run(LEARN, json.dumps(asked), cwd=cwd))
    return told


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return learn(tmp_path_factory.mktemp("alone"))


@pytest.mark.slow
def test_two_devices_that_share_each_batch_take_the_steps_that_one_takes(alone: dict[str, Any], tmp_path: Path) -> None:
    pair = learn(tmp_path, cpus=2, strategy="mirrored")
    assert (alone["replicas"], pair["replicas"]) == (1, 2)
    np.testing.assert_allclose(pair["logits"], alone["logits"], atol=1e-3)  # they add up in another order
    assert learn(tmp_path, cpus=2, strategy="mirrored")["digest"] == pair["digest"]


@pytest.mark.slow
def test_without_a_gpu_what_is_left_to_one_changes_no_bit(alone: dict[str, Any], tmp_path: Path) -> None:
    assert learn(tmp_path, **ON_GPU)["digest"] == alone["digest"]


@pytest.mark.parametrize("allowed", [{"precision": "mixed_bfloat16"}, {"jit_compile": True}])
def test_what_a_gpu_may_do_learns_nearly_the_same_and_afterwards_computes_exactly(allowed: dict[str, Any]) -> None:
    params = PARAMS.training.keras_tabular.model_copy(update={"dropout": 0.0})
    plain, told = _after_an_epoch(Devices(), params), _after_an_epoch(Devices(**allowed), params)
    assert all(layer.compute_dtype == "float32" for layer in told.hidden)
    near = 0.02 if "precision" in allowed else 1e-3
    for one, other in zip(plain.get_weights(), told.get_weights(), strict=True):
        assert one.dtype == other.dtype == np.float32
        assert np.abs(one - other).mean() < near
    assert any((one != other).any() for one, other in zip(plain.get_weights(), told.get_weights(), strict=True))


def _after_an_epoch(devices: Devices, params: KerasTabularParams) -> PackedNetworks:
    bag = KerasTabular(INPUTS, TRAIN, params, seed=7)  # encodes the claims, and sets the seed
    networks = PackedNetworks(len(bag.cells), -3.0, params, devices.precision)
    claims = bag.encoder({name: tf.constant(values) for name, values in TRAIN.columns.items()})
    Epochs(networks, claims, TRAIN.labels, params, 7, devices).run()
    networks.compute_exactly()
    return networks
