package install

import "strings"

// pinnedCUDA is the CUDA release that the pinned CUDA provider was built for.
const pinnedCUDA = 13

// cudaPackages is the libraries of CUDA 13.0, the oldest release that the pinned
// CUDA provider runs on and so the one that asks least of the driver, and cuDNN.
// members[0] is written last: it marks a package as whole.
var cudaPackages = []artifact{
	nvidia("nvidia-cuda-runtime", "13.0.96", "manylinux2014_x86_64.manylinux_2_17_x86_64", 2243632,
		"7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
		member{"nvidia/cu13/lib/libcudart.so.13", 704288, "96c42e418cec19054186b9429c321603cc190bf26a18104e19408117a2a817b0"}),
	nvidia("nvidia-cublas", "13.0.2.14", "manylinux_2_27_x86_64", 420882912,
		"0cf238ffdbe46c00cb9aa98e7bca745c223a5ca5a53e686ac8b3e5a08fe80d6c",
		member{"nvidia/cu13/lib/libcublas.so.13", 54440120, "1d5f1452af53a0b1cf36bc7d8116d2a22a5f2cffbaa8fca25a1b70360a2e8d7a"},
		member{"nvidia/cu13/lib/libcublasLt.so.13", 539533072, "4c15f403ac2a8040a3291d07f6c351b5c1f730b45f2ea41f302e415e9600655b"}),
	nvidia("nvidia-curand", "10.4.0.35", "manylinux_2_27_x86_64", 59544258,
		"1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc",
		member{"nvidia/cu13/lib/libcurand.so.10", 132698328, "b53732a66b302b11926e00f762e2c2ba67058347ff93cf4ae709de45e93e06da"}),
	nvidia("nvidia-cuda-nvrtc", "13.0.88", "manylinux2010_x86_64.manylinux_2_12_x86_64", 90215200,
		"ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
		member{"nvidia/cu13/lib/libnvrtc.so.13", 109338064, "a49e67e8e74590f1e98de55c39c6287efd3f59e3c3797464d7bbe0fe01349b11"},
		member{"nvidia/cu13/lib/libnvrtc-builtins.so.13.0", 4380616, "91dcd944d01da9c0f08fff5d779db136a47f6d62bdb63bae900d2f481e92c3a2"}),
	nvidia("nvidia-cufft", "12.0.0.61", "manylinux2014_x86_64.manylinux_2_17_x86_64", 214085489,
		"6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3",
		member{"nvidia/cu13/lib/libcufft.so.12", 286542352, "0933f68bb7e3bf90f86d70bc87cd2f69027f7757e89e5de5e19ec33a53fd8d3a"}),
	nvidia("nvidia-cudnn-cu13", "9.24.1.1", "manylinux_2_27_x86_64", 553126434,
		"06df9d1cc37d7c151f9f218a47dba0fb0223d4725115961ec02c070a081b4c1b",
		member{"nvidia/cudnn/lib/libcudnn.so.9", 129240, "37e55ebae5b476fa0fe618e77cf20631a9c3a8f47b84291b21a67e432af84562"},
		member{"nvidia/cudnn/lib/libcudnn_adv.so.9", 109169040, "f599785ea330970459b1cbb2f2e0ce55b44054d0e5b71d1d84ff976a1d9772bc"},
		member{"nvidia/cudnn/lib/libcudnn_cnn.so.9", 4203896, "1fc5c5a757ee7b130c61e15c359e4d8e56368f664ceda82f3a5dc0d33f60100b"},
		member{"nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9", 260072464, "48ae7447459f1b3563558bd3dc45a01462b7031bda5f5b540403f14ccb8ab845"},
		member{"nvidia/cudnn/lib/libcudnn_engines_runtime_compiled.so.9", 33586832, "8b2f808ae766bf9ed6a668a12f446b280d4695182501585888e73af3e80f148e"},
		member{"nvidia/cudnn/lib/libcudnn_engines_tensor_ir.so.9", 201345448, "c5ef46914995740ac2db7a744b597ecf4cdfcb62edc1feac4c868abf18c7bf17"},
		member{"nvidia/cudnn/lib/libcudnn_ext.so.9", 127944928, "8cbeb50ea0b9c80849afa0816174d3d49af4e1401dac6d7ffe2eba926e008b69"},
		member{"nvidia/cudnn/lib/libcudnn_graph.so.9", 128148712, "6afe6144484d958527b36d716f31480a77a7a2eba7d48a2fc34a67e6dfbec431"},
		member{"nvidia/cudnn/lib/libcudnn_heuristic.so.9", 60822216, "07c2d86eace67f170b3ab251ab6fa70e1c31a4be3f18b2f4952f9f51941c3685"},
		member{"nvidia/cudnn/lib/libcudnn_ops.so.9", 39855824, "be981bfcf38c1d86f52d4743ffb5fb2e5fc14bf598c5b6bbaa5472b39797222d"}),
}

// nvidia is a package of NVIDIA's for Linux, of a release and a tag of wheels.
func nvidia(pkg, version, tag string, size int64, sum string, members ...member) artifact {
	return artifact{
		goos: "linux", goarch: "amd64", cuda: true, client: "pip", pkg: pkg, version: version,
		platform: tag[strings.LastIndexByte(tag, '.')+1:], size: size, sha256: sum, members: members,
		file: strings.ReplaceAll(pkg, "-", "_") + "-" + version + "-py3-none-" + tag + ".whl",
	}
}
