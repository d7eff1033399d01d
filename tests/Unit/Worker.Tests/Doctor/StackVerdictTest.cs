using Sluice.Worker.Devices;
using Sluice.Worker.Doctor;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Tests.Doctor;

/// <summary>Machines that nobody has at hand, as lines of a table: what would serve on them, and the one thing to fix.</summary>
public sealed class StackVerdictTest
{
    private static readonly GpuFacts H200 = Smi("0, GPU-1, NVIDIA H200, 580.159, 9.0, Disabled, 143771, 512, 0");

    /// <summary>A machine on which everything is there.</summary>
    private static readonly StackReport Whole = new()
    {
        Requested = new() { Requested = ["tensorrt", "cuda", "cpu"] },
        Gpus = [H200],
        PciGpus = 1,
        KernelDriver = "580.159.03",
        DeviceFiles = true,
        Cuda = new("libcuda", true, "13.0"),
        Libraries = [new("CUDA runtime", true, "13.0"), new("cuBLAS", true, "13.1.0"), new("cuRAND", true),
            new("cuDNN", true, "9.17.1"), new("TensorRT", true, "10.14.1")],
        TensorRtMajors = [10],
        OnnxRuntime = "1.29.0",
        ProviderLibraries = ["shared", "cuda", "tensorrt"],
        Runs = [new("cpu", null, 5), new("cuda", null, 300), new("tensorrt", null, 9000)],
    };

    /// <summary>A machine without any of it.</summary>
    private static readonly StackReport Bare = new()
    {
        SmiError = "nvidia-smi is not installed", OnnxRuntime = "1.29.0", Runs = [new("cpu", null, 5)],
        Cuda = new("libcuda", false, Error: "libcuda.so.1: cannot open"),
    };

    public static TheoryData<string, StackReport, string?, string> Machines => new()
    {
        { "whole", Whole, "tensorrt", "TensorRT will serve on NVIDIA H200." },
        { "whole, CUDA requested", Whole with { Requested = Require("cuda") }, "cuda", "CUDA will serve on NVIDIA H200." },
        { "whole, CPU requested", Whole with { Requested = Require("cpu") }, "cpu",
            "The CPU will serve, as requested. A GPU is ready: set SLUICE_EXECUTION_PROVIDERS=cuda to use it." },
        { "bare, CPU requested", Bare, "cpu", "The CPU will serve, as requested. CUDA is not available. Cause: this machine has no NVIDIA GPU" },
        { "bare, CUDA required", Bare with { Requested = Require("cuda") }, null,
            "No provider can serve models: cuda is required but not available. Cause: this machine has no NVIDIA GPU" },
        { "bare, CUDA preferred", Bare with { Requested = Prefer("cuda") }, "cpu",
            "The CPU will serve, because cuda is not available. Cause: this machine has no NVIDIA GPU" },
        { "a GPU without a driver", Bare with { Requested = Require("cuda"), PciGpus = 2 }, null,
            "2 NVIDIA GPUs are on the PCI bus, but no NVIDIA driver is loaded: install driver 580" },
        { "a container without the GPU flag", Bare with { Requested = Require("cuda"), PciGpus = 1, KernelDriver = "580.159.03" }, null,
            "the host has NVIDIA's driver 580.159.03, but this container sees no /dev/nvidia0: start it with --gpus all" },
        { "a container without the compute capability", Whole with { Cuda = new("libcuda", false, Error: "libcuda.so.1: cannot open") }, null,
            "libcuda.so.1 cannot be loaded (libcuda.so.1: cannot open): in a container set NVIDIA_DRIVER_CAPABILITIES=compute,utility" },
        { "an old driver", Whole with { Gpus = [H200 with { Driver = "550.127.05" }] }, null,
            "NVIDIA's driver is 550.127.05, and this build's CUDA 13 needs 580 or newer (driver 550 supports at most CUDA 12)" },
        { "an old driver that only the kernel tells", Whole with { Gpus = [], KernelDriver = "470.256.02" }, null, "NVIDIA's driver is 470.256.02" },
        { "a V100", Whole with { Gpus = [Smi("0, GPU-1, Tesla V100-SXM2-16GB, 580.95, 7.0, [N/A], 16384, 0, 0")] }, null,
            "Tesla V100-SXM2-16GB has compute capability 7.0, and this build's CUDA 13 supports 7.5 (Turing) and newer: CUDA 13 does not support Volta" },
        { "a V100 beside an H200", Whole with { Gpus = [Smi("0, GPU-1, Tesla V100-SXM2-16GB, 580.95, 7.0, [N/A], 16384, 0, 0"), H200 with { Index = 1 }] },
            "tensorrt",
            "TensorRT will serve on NVIDIA H200." },
        { "a T4, the oldest that is served", Whole with { Gpus = [Smi("0, GPU-1, Tesla T4, 580.95, 7.5, [N/A], 15360, 0, 0")] }, "tensorrt",
            "TensorRT will serve on Tesla T4." },
        { "MIG without an instance", Whole with { Gpus = [H200 with { MigEnabled = true }] }, null,
            "MIG is on for NVIDIA H200, but it has no instance: create one (nvidia-smi mig -cgi PROFILE -C)" },
        { "a MIG instance with few reported values", Whole with
            {
                Gpus = [Smi("0, GPU-1, NVIDIA A100-SXM4-80GB, 580.95, 8.0, Enabled, [Insufficient Permissions], [Insufficient Permissions], [N/A]")],
                Mig = [new(0, "1g.10gb", 0, "MIG-1")],
            }, "tensorrt", "TensorRT will serve on a MIG 1g.10gb of NVIDIA A100-SXM4-80GB." },
        { "a GPU without a reported compute capability", Whole with { Gpus = [H200 with { ComputeCapability = null }] }, "tensorrt",
            "TensorRT will serve on NVIDIA H200." },
        { "hidden GPUs", Whole with { VisibleDevices = "" }, null, "CUDA_VISIBLE_DEVICES is '', which hides every GPU: unset it" },
        { "a published worker without GPU libraries", Whole with { ProviderLibraries = [] }, null,
            "libonnxruntime_providers_shared.so is not beside libonnxruntime.so: publish the worker with -p:OnnxRuntime=nvidia" },
        { "no CUDA runtime", Lacking("CUDA runtime", "libcudart.so.13: cannot open"), null,
            "CUDA runtime 13 cannot be loaded (libcudart.so.13: cannot open): install it, or name its folder in SLUICE_CUDA_LIBRARY_PATH" },
        { "no cuBLAS", Lacking("cuBLAS", null), null, "cuBLAS 13 cannot be loaded (not found)" },
        { "no cuDNN, for TensorRT", Lacking("cuDNN", null), null, "tensorrt is required but not available. Cause: cuDNN 9 cannot be loaded" },
        { "no cuDNN, for CUDA", Lacking("cuDNN", null) with { Requested = Require("cuda") }, "cuda", "CUDA will serve on NVIDIA H200." },
        { "TensorRT 11 alone", Lacking("TensorRT", null) with { TensorRtMajors = [11] }, null,
            "TensorRT 11 is installed, and this build of ONNX Runtime loads libnvinfer.so.10: install TensorRT 10 (pip install 'tensorrt>=10,<11')" },
        { "TensorRT 11 alone, preferred", Lacking("TensorRT", null) with { TensorRtMajors = [11], Requested = Prefer("tensorrt", "cuda") }, "cuda",
            "CUDA will serve on NVIDIA H200. TensorRT is not available. Cause: TensorRT 11 is installed" },
        { "a run that failed", Whole with { Requested = Require("cuda"), Runs = [new("cuda", "CUDA failure 802: system not yet initialized", 5)] }, null,
            "the GPU is not ready: on HGX machines start nvidia-fabricmanager" },
        { "WebGPU without Vulkan", Bare with { Requested = Require("webgpu"), Runs = [new("webgpu", "Failed to get a WebGPU adapter: No supported adapters", 5)] },
            null,
            "no Vulkan device that WebGPU can use" },
        { "a GPU off its bus", Bare with { Requested = Require("cuda"), DeviceFiles = true, SmiError = "nvidia-smi did not answer within 5 s" }, null,
            "the GPU does not answer (nvidia-smi did not answer within 5 s)" },
    };

    [Theory]
    [MemberData(nameof(Machines))]
    public void A_machine_gets_its_verdict(string machine, StackReport report, string? serving, string says)
    {
        var verdict = StackVerdict.Evaluate(report);
        Assert.True(verdict.Line.Contains(says, StringComparison.Ordinal), $"{machine}: {verdict.Line}");
        Assert.Equal((serving, serving is not null), (verdict.Serving, verdict.Served));
    }

    [Fact]
    public void What_stops_nothing_is_noted()
    {
        var v100 = Smi("1, GPU-2, Tesla V100-SXM2-16GB, 580.95, 7.0, [N/A], 16384, 0, 0");
        var notes = StackVerdict.Notes(Lacking("cuDNN", null) with
        {
            Gpus = [H200, v100], Libraries = [new("cuBLAS", true), new("cuDNN", false), new("NCCL", false)],
        });
        Assert.Contains(notes, n => n.StartsWith("GPU 1 (Tesla V100-SXM2-16GB) is older", StringComparison.Ordinal));
        Assert.Contains(notes, n => n.StartsWith("cuDNN 9 is missing: convolutions", StringComparison.Ordinal));
        Assert.Contains(notes, n => n.StartsWith("NCCL is missing", StringComparison.Ordinal));
        Assert.Empty(StackVerdict.Notes(Whole));
    }

    [Fact]
    public void The_table_fits_a_terminal_whatever_was_found()
    {
        foreach (var report in Machines.Select(m => m.Data.Item2))
            Assert.All(DoctorCommand.Text(report, StackVerdict.Evaluate(report)).Split('\n'), l => Assert.True(l.Length <= 100, l));
    }

    private static StackReport Lacking(string library, string? error) => Whole with
    {
        Libraries = [.. Whole.Libraries.Select(l => l.Name == library ? new Layer(library, false, Error: error) : l)], TensorRtMajors = [],
    };

    private static ProviderSettings Require(params string[] requested) => new() { Requested = requested };

    private static ProviderSettings Prefer(params string[] requested) => new() { Requested = requested, Policy = ProviderPolicy.Prefer };

    private static GpuFacts Smi(string line) => NvidiaSmi.ParseGpus(line)[0];
}
