"""ResNet-110 on CIFAR-100: the baseline of the paper's table 6.

Source: CutMix (arXiv 1905.04899v2), table 6: 1,170,868 parameters, with bottlenecks, the default of the authors' code;
learning rate .1 as they say in issue 10 of clovaai/CutMix-PyTorch; everything else as in
`cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_resnet110_baseline.py --data-root FOLDER`
Expected top-1 / top-5 error: 23.14 / 5.95 (table 6; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as larger
from core.recipe import SGD

config = replace(
    larger,
    architecture="core.networks.resnet_cifar:ResNetCIFAR",
    kwargs={"depth": 110},
    recipe=replace(larger.recipe, optimizer=SGD(lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True)),
)
