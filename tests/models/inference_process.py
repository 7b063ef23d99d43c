"""One exported network, run by paddle.inference alone: a crash ends this process and no other.

python inference_process.py MODEL INPUT.npy OUTPUT.npy [onednn]
"""

import sys

import numpy as np
import paddle.inference as inference

model, given, found, *settings = sys.argv[1:]
suffix = ".json" if model.endswith(".json") else ".pdmodel"
config = inference.Config(model, model.replace(suffix, ".pdiparams"))
config.disable_glog_info()
if settings == ["onednn"]:
    config.enable_mkldnn()
predictor = inference.create_predictor(config)
handle = predictor.get_input_handle(predictor.get_input_names()[0])
x = np.load(given)
for _ in range(3):  # the heap of a damaged process fails sooner or later
    handle.reshape(x.shape)
    handle.copy_from_cpu(x)
    predictor.run()
    output = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
np.save(found, output)
