using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Devices;

namespace Sluice.Worker.Tests.Doctor;

/// <summary>Tests what a worker reports about the GPUs that it got.</summary>
public sealed class DeviceReporterTest
{
    private static readonly GpuFacts[] Gpus =
    [
        new(0, "GPU-a", "NVIDIA H100 80GB HBM3", "580.95", "9.0", false, 81559, 0, 0),
        new(1, "GPU-b", "NVIDIA H100 80GB HBM3", "580.95", "9.0", true, 81559, 0, 0),
        new(2, "GPU-c", "Tesla T4", null, null, null, null, null, null),
    ];

    private static readonly MigInstance[] Mig = [new(1, "1g.10gb", 0, "MIG-x"), new(1, "2g.20gb", 1, "MIG-y")];

    [Theory]
    [InlineData(null, "GPU-a", "MIG-x 1g.10gb", "MIG-y 2g.20gb", "GPU-c")]
    [InlineData("GPU-c", "GPU-c")]
    [InlineData("MIG-y", "MIG-y 2g.20gb")]
    [InlineData("GPU-c,GPU-a", "GPU-c", "GPU-a")]
    [InlineData("0", "GPU-a")]
    [InlineData("-1")]
    [InlineData("")]
    public void The_visible_devices_are_reported(string? visible, params string[] expected) =>
        Assert.Equal(expected, Describe(visible)["devices"]!.AsArray()
            .Select(d => d!["mig"] is { } mig ? $"{d["uuid"]} {mig}" : (string?)d["uuid"]));

    [Fact]
    public void What_is_not_known_is_left_out()
    {
        Assert.Equal("""{"devices":[{"uuid":"GPU-c","name":"Tesla T4"}]}""", Describe("GPU-c").ToJsonString());
        var gpu = Describe("GPU-a")["devices"]![0]!;
        Assert.Equal((81559, "9.0", "580.95", null),
            ((int)gpu["memoryMiB"]!, (string?)gpu["computeCapability"], (string?)gpu["driver"], gpu["mig"]));
        Assert.Equal("""{"devices":[],"error":"nvidia-smi is not installed"}""",
            DeviceReporter.Describe(new SmiAnswer([], [], "nvidia-smi is not installed"), null, () => []));
    }

    [Fact]
    public async Task An_examination_that_fails_or_says_too_much_is_an_error_of_bounded_length()
    {
        var failed = await CompleteAsync(() => throw new InvalidOperationException("no GPU answers"));
        Assert.Equal("no GPU answers", (string?)failed["error"]);
        var much = await CompleteAsync(() => new SmiAnswer([], [], new string('x', 100_000)));
        Assert.Equal(300, ((string?)much["error"])!.Length);

        static async Task<JsonNode> CompleteAsync(Func<SmiAnswer> read)
        {
            var reporter = new DeviceReporter(read, () => [], null);
            await Eventually.HoldsAsync(() => reporter.IsComplete);
            return JsonNode.Parse(reporter.Value)!;
        }
    }

    [Theory]
    [InlineData("0-2 2-0", true)]
    [InlineData("0-1 1-0 1-2 2-1", false)]
    [InlineData("", false)]
    public void Gpus_are_linked_if_nvlinks_connect_each_pair(string pairs, bool linked)
    {
        var read = pairs.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(p => p.Split('-'))
            .Select(p => (int.Parse(p[0]), int.Parse(p[1]))).ToArray();
        Assert.Equal(linked, (bool)Describe("GPU-a,GPU-c", read)["nvLinked"]!);
    }

    [Fact]
    public void The_topology_of_an_hgx_board_is_read()
    {
        const string matrix = "\t\x1b[4mGPU0\tGPU1\tNIC0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\x1b[0m\n"
            + "GPU0\t X \tNV18\tPIX\t0-47,96-143\t0\t\tN/A\nGPU1\tNV18\t X \tSYS\t0-47,96-143\t0\t\tN/A\n"
            + "NIC0\tPIX\tSYS\t X \t\t\t\t\n\nLegend:\n\n  X    = Self\n";
        Assert.Equal([(0, 1), (1, 0)], NvidiaSmi.ParseNvLinks(matrix));
        Assert.Empty(NvidiaSmi.ParseNvLinks(matrix.Replace("NV18", "SYS", StringComparison.Ordinal)));
        Assert.Empty(NvidiaSmi.ParseNvLinks("NVIDIA-SMI has failed\n"));
    }

    private static JsonObject Describe(string? visible, params (int, int)[] links) =>
        (JsonObject)JsonNode.Parse(DeviceReporter.Describe(new SmiAnswer(Gpus, Mig, null), visible, () => links))!;
}
