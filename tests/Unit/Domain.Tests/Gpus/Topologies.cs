namespace Sluice.Domain.Tests.Gpus;

/// <summary>Output of <c>nvidia-smi topo -m</c> on real machines, with the original tabs.</summary>
internal static class Topologies
{
    /// <summary>Two H100 SXM; the header is underlined, as on a terminal.</summary>
    public const string HgxH100Pair =
        "\t\x1b[4mGPU0\tGPU1\tNIC0\tNIC1\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\x1b[0m\n"
        + "GPU0\t X \tNV18\tPIX\tSYS\t0-47,96-143\t0\t\tN/A\nGPU1\tNV18\t X \tSYS\tPIX\t0-47,96-143\t0\t\tN/A\n"
        + "NIC0\tPIX\tSYS\t X \tSYS\t\t\t\t\nNIC1\tSYS\tPIX\tSYS\t X \t\t\t\t\n"
        + "\nLegend:\n\n  X    = Self\n"
        + "  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)\n";

    /// <summary>A DGX-1: eight V100 in a cube of NVLinks; pairs have two links, one or none.</summary>
    public static readonly string Dgx1 = Tabs("""
         GPU0 GPU1 GPU2 GPU3 GPU4 GPU5 GPU6 GPU7 mlx5_0 mlx5_2 CPU Affinity
        GPU0 X NV1 NV1 NV2 NV2 SYS SYS SYS PIX SYS 0-19,40-59
        GPU1 NV1 X NV2 NV1 SYS NV2 SYS SYS PIX SYS 0-19,40-59
        GPU2 NV1 NV2 X NV2 SYS SYS NV1 SYS PHB SYS 0-19,40-59
        GPU3 NV2 NV1 NV2 X SYS SYS SYS NV1 PHB SYS 0-19,40-59
        GPU4 NV2 SYS SYS SYS X NV1 NV1 NV2 SYS PIX 20-39,60-79
        GPU5 SYS NV2 SYS SYS NV1 X NV2 NV1 SYS PIX 20-39,60-79
        GPU6 SYS SYS NV1 SYS NV1 NV2 X NV2 SYS PHB 20-39,60-79
        GPU7 SYS SYS SYS NV1 NV2 NV1 NV2 X SYS PHB 20-39,60-79
        mlx5_0 PIX PIX PHB PHB SYS SYS SYS SYS X SYS
        """);

    /// <summary>A DGX A100: eight GPUs, all connected through NVSwitch.</summary>
    public static readonly string DgxA100 =
        Tabs(" GPU0 GPU1 GPU2 GPU3 GPU4 GPU5 GPU6 GPU7 mlx5_0 CPU Affinity NUMA Affinity\n" + string.Join('\n',
        Enumerable.Range(0, 8)
            .Select(r => (Row: r, Links: Enumerable.Range(0, 8).Select(c => c == r ? "X" : "NV12")))
            .Select(r => $"GPU{r.Row} {string.Join(' ', r.Links)} PXB 48-63,176-191 3")));

    /// <summary>Four A100 PCIe: two pairs with a bridge (NV12), on two sockets.</summary>
    public static readonly string BridgedA100 = Tabs("""
         GPU0 GPU1 GPU2 GPU3 CPU Affinity NUMA Affinity
        GPU0 X NV12 SYS SYS 0-31 0
        GPU1 NV12 X SYS SYS 0-31 0
        GPU2 SYS SYS X NV12 32-63 1
        GPU3 SYS SYS NV12 X 32-63 1
        """);

    /// <summary>Four GPUs of an EPYC machine without NVLink, two per socket.</summary>
    public static readonly string Epyc = Tabs("""
         GPU0 GPU1 GPU2 GPU3 NIC0 CPU Affinity NUMA Affinity GPU NUMA ID
        GPU0 X NODE SYS SYS NODE 0,2,4,6,8,10 0 N/A
        GPU1 NODE X SYS SYS NODE 0,2,4,6,8,10 0 N/A
        GPU2 SYS SYS X NODE SYS 1,3,5,7,9,11 1 N/A
        GPU3 SYS SYS NODE X SYS 1,3,5,7,9,11 1 N/A
        NIC0 NODE NODE SYS SYS X
        """);

    private static string Tabs(string text) => text.Replace(' ', '\t');
}
