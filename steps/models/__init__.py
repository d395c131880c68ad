"""Networks by name.  To add one: a module here, a line in MODELS, a YAML in conf/."""

from steps.models.campplus import CamPlusPlus
from steps.models.deep_speaker import DeepSpeaker, DeepSpeakerGru
from steps.models.ecapa import EcapaTdnn
from steps.models.ge2e_lstm import Ge2eLstm
from steps.models.ghostvlad import ThinResNet34GhostVlad
from steps.models.mr_rawnet import MrRawNet
from steps.models.network import EmbeddingNetwork
from steps.models.rawnet import RawNet, RawNetPretraining
from steps.models.rawnet2 import RawNet2
from steps.models.rawnet2_modified import RawNet2Modified
from steps.models.rawnet3 import RawNet3
from steps.models.rawnet_port import RawNetPort
from steps.models.resemblyzer import Resemblyzer
from steps.models.resnet import ResNet34

MODELS: dict[str, type[EmbeddingNetwork]] = {
    "ghostvlad": ThinResNet34GhostVlad,
    "ge2e_lstm": Ge2eLstm,
    "deep_speaker": DeepSpeaker,
    "deep_speaker_gru": DeepSpeakerGru,
    "rawnet": RawNet,
    "rawnet_pretraining": RawNetPretraining,
    "rawnet_port": RawNetPort,
    "rawnet2": RawNet2,
    "rawnet2_modified": RawNet2Modified,
    "rawnet3": RawNet3,
    "mr_rawnet": MrRawNet,
    "ecapa": EcapaTdnn,
    "resnet34": ResNet34,
    "campplus": CamPlusPlus,
    "resemblyzer": Resemblyzer,
}
