using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Devices;
using Sluice.Worker.Doctor;

namespace Sluice.Worker.Tests.Doctor;

/// <summary>The command on the machine that runs the tests, whatever that has, and with an nvidia-smi of the test's own.</summary>
public sealed class DoctorCommandTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-doctor-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Trait("Needs", "publish")]
    [Fact]
    public async Task The_cpu_serves_and_ran_a_model()
    {
        await using var doctor = Launch(["doctor"]);
        Assert.Equal(0, await doctor.ExitAsync());
        Assert.Contains("The CPU will serve, as requested.", await doctor.LineAsync("will serve"), StringComparison.Ordinal);
        Assert.Matches(@"(?m)^run on cpu +right, \d+ ms$", doctor.Output);
        Assert.Matches(@"(?m)^ONNX Runtime +1\.\d+\.\d+$", doctor.Output);
        Assert.All(doctor.Output.Split('\n'), l => Assert.True(l.Length <= 100, l));
    }

    [Trait("Needs", "publish")]
    [Fact]
    public async Task The_same_is_told_as_json()
    {
        await using var doctor = Launch(["doctor", "--json"]);
        await doctor.LineAsync(l => l == "}", "the end");
        var answer = JsonNode.Parse(doctor.Output)!;
        Assert.Equal((true, "cpu"), ((bool)answer["served"]!, (string?)answer["serving"]));
        Assert.Contains(answer["report"]!["runs"]!.AsArray(), r => (string?)r!["provider"] == "cpu" && r["error"] is null);
        Assert.Equal("require", (string?)answer["report"]!["wish"]!["policy"], ignoreCase: true);
    }

    [Trait("Needs", "publish")]
    [Theory]
    [InlineData(2, "usage: Sluice.Worker doctor [--json]", "", "--xml")]
    [InlineData(3, "SLUICE_EXECUTION_PROVIDERS has 'cudda'", "cudda")]
    public async Task What_it_cannot_understand_ends_it_with_the_reason(int code, string says, string wished, params string[] arguments)
    {
        await using var doctor = Launch(["doctor", .. arguments], ("SLUICE_EXECUTION_PROVIDERS", wished));
        await doctor.LineAsync(says);
        Assert.Equal(code, await doctor.ExitAsync());
    }

    [Trait("Needs", "publish")]
    [Fact]
    public async Task A_gpu_that_nvidia_smi_tells_of_is_judged()
    {
        Smi("""
            #!/bin/sh
            echo "0, GPU-1, Tesla V100-SXM2-16GB, 550.127.05, 7.0, [N/A], 16384, 0, [N/A]"
            """);
        await using var doctor = Launch(["doctor"], ("SLUICE_EXECUTION_PROVIDERS", "cuda"), ("PATH", folder));
        Assert.Equal(1, await doctor.ExitAsync());
        await doctor.LineAsync("No provider can serve models: cuda is required but not available.");
        Assert.Matches(@"(?m)^GPU 0 +Tesla V100-SXM2-16GB, compute capability 7\.0,", doctor.Output);
        // The report wraps the line.
        Assert.Matches(@"NVIDIA's\s+driver\s+is\s+550\.127\.05", doctor.Output);
    }

    [Trait("Needs", "publish")]
    [Fact]
    public async Task What_nvidia_smi_says_instead_of_gpus_is_passed_on()
    {
        Smi("""
            #!/bin/sh
            echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
            exit 9
            """);
        await using var doctor = Launch(["doctor", "--json"], ("PATH", folder));
        await doctor.LineAsync("couldn't communicate with the NVIDIA driver. (exit code 9)");
        Assert.Equal(0, await doctor.ExitAsync());
    }

    [Fact]
    public void The_pci_bus_and_the_kernels_driver_are_read()
    {
        void Device(string name, string vendor, string type)
        {
            var device = Directory.CreateDirectory(Path.Combine(folder, "pci", name)).FullName;
            File.WriteAllText(Path.Combine(device, "vendor"), vendor + "\n");
            File.WriteAllText(Path.Combine(device, "class"), type + "\n");
        }

        Device("0000:17:00.0", "0x10de", "0x030200");
        Device("0000:17:00.1", "0x10de", "0x040300");
        Device("0000:00:02.0", "0x8086", "0x030000");
        Assert.Equal(1, StackProbe.PciGpus(Path.Combine(folder, "pci")));
        Assert.Equal(0, StackProbe.PciGpus("/no/such/folder"));

        var version = Path.Combine(folder, "version");
        File.WriteAllText(version, "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.03  Release Build  (dvs-builder)\n"
            + "GCC version:  gcc version 12.3.0\n");
        Assert.Equal("580.159.03", StackProbe.KernelDriver(version));
        File.WriteAllText(version, "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.256.02  Thu May  2 14:37:44 UTC 2024\n");
        Assert.Equal("470.256.02", StackProbe.KernelDriver(version));
        Assert.Null(StackProbe.KernelDriver("/no/such/file"));
    }

    [Theory]
    [InlineData(13020, "13.2")]
    [InlineData(12080, "12.8")]
    public void Cuda_counts_its_versions_in_thousands(int version, string text) => Assert.Equal(text, NativeVersions.Cuda(version));

    [Theory]
    [InlineData(91704, 10000, "9.17.4")]
    [InlineData(101401, 10000, "10.14.1")]
    [InlineData(8907, 1000, "8.9.7")]
    public void The_others_count_theirs_in_hundreds(long version, int major, string text) => Assert.Equal(text, NativeVersions.Dotted(version, major));

    private static ChildProcess Launch(string[] arguments, params (string Name, string? Value)[] environment)
    {
        var all = environment.ToDictionary(e => e.Name, e => e.Value);
        all.TryAdd("CUDA_VISIBLE_DEVICES", null);
        return new ChildProcess(Repository.Worker, arguments, all);
    }

    private void Smi(string script)
    {
        var path = Path.Combine(folder, "nvidia-smi");
        File.WriteAllText(path, script + "\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
