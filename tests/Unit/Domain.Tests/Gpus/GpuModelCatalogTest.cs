using Sluice.Domain.Gpus;

namespace Sluice.Domain.Tests.Gpus;

/// <summary>Names reported by nvidia-smi and types declared by operators.</summary>
public sealed class GpuModelCatalogTest
{
    [Theory]
    [InlineData("Tesla V100-SXM2-16GB", "V100-16")]
    [InlineData("Tesla V100-SXM2-32GB", "V100-32")]
    [InlineData("Tesla T4", "T4")]
    [InlineData("NVIDIA A2", "A2")]
    [InlineData("NVIDIA A10G", "A10G")]
    [InlineData("NVIDIA A16", "A16")]
    [InlineData("NVIDIA A30", "A30")]
    [InlineData("NVIDIA A40", "A40")]
    [InlineData("NVIDIA A100-PCIE-40GB", "A100-40")]
    [InlineData("NVIDIA A100-SXM4-80GB", "A100-80")]
    [InlineData("NVIDIA A100 80GB PCIe", "A100-80")]
    [InlineData("NVIDIA L4", "L4")]
    [InlineData("NVIDIA L40", "L40")]
    [InlineData("NVIDIA L40S", "L40S")]
    [InlineData("NVIDIA H100 80GB HBM3", "H100")]
    [InlineData("NVIDIA H100 PCIe", "H100")]
    [InlineData("NVIDIA H100 NVL", "H100-NVL")]
    [InlineData("NVIDIA H200", "H200")]
    [InlineData("NVIDIA H200 NVL", "H200")]
    [InlineData("NVIDIA GH200 480GB", "GH200")]
    [InlineData("NVIDIA B200", "B200")]
    [InlineData("NVIDIA GB200", "GB200")]
    [InlineData("NVIDIA B300 SXM6 AC", "B300")]
    [InlineData("NVIDIA GeForce RTX 4090", "RTX-4090")]
    [InlineData("NVIDIA RTX 6000 Ada Generation", "RTX-6000-ADA")]
    [InlineData("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX-PRO-6000")]
    [InlineData("NVIDIA GeForce GTX 1080", null)]
    public void Names_of_nvidia_smi_are_known(string name, string? model) =>
        Assert.Equal(model, GpuModelCatalog.Find(name)?.Id);

    [Theory]
    [InlineData("H100", "NVIDIA H100 NVL")]
    [InlineData("h100", "NVIDIA H100 80GB HBM3")]
    [InlineData("A100", "NVIDIA A100-PCIE-40GB")]
    [InlineData("A100-80", "NVIDIA A100-SXM4-80GB")]
    [InlineData("AMPERE_80", "NVIDIA A100 80GB PCIe")]
    [InlineData("AMPERE_16", "NVIDIA RTX A4000")]
    [InlineData("HOPPER_141", "NVIDIA H200")]
    [InlineData("NVIDIA GeForce GTX 1080", "NVIDIA GeForce GTX 1080")]
    [InlineData("NVIDIA GeForce GTX 1080", "NVIDIA-GeForce-GTX-1080")]
    public void A_type_is_a_model_a_family_a_pool_or_a_name(string type, string name)
    {
        Assert.True(GpuModelCatalog.IsKnownType(type));
        Assert.True(GpuModelCatalog.IsMatch(type, name, GpuModelCatalog.Find(name)));
    }

    [Theory]
    [InlineData("H10O")]
    [InlineData("")]
    [InlineData("AMPERE_90")]
    [InlineData("NVIDIA \n")]
    public void A_type_that_matches_nothing_is_unknown(string type) => Assert.False(GpuModelCatalog.IsKnownType(type));

    [Theory]
    [InlineData("V100-16", "fp32 fp16 int8", false)]
    [InlineData("T4", "fp32 fp16 int8", true)]
    [InlineData("A100-80", "fp32 fp16 bf16 int8", true)]
    [InlineData("L40S", "fp32 fp16 bf16 int8 fp8", true)]
    [InlineData("H200", "fp32 fp16 bf16 int8 fp8", true)]
    [InlineData("B200", "fp32 fp16 bf16 int8 fp8 fp4", true)]
    public void The_precisions_of_a_model_follow_from_its_compute_capability(string id, string precisions, bool cuda13)
    {
        var model = GpuModelCatalog.Models.Single(m => m.Id == id);
        Assert.Equal((precisions, cuda13), (string.Join(' ', model.Precisions), model.Cuda13));
    }

    [Theory]
    [InlineData("580.95.05", "580", true)]
    [InlineData("580.95.05", "580.95.06", false)]
    [InlineData("580.159", "580.95", true)]
    [InlineData("550.54", "580", false)]
    [InlineData(null, "450", false)]
    public void Drivers_are_compared_number_by_number(string? driver, string least, bool enough) =>
        Assert.Equal(enough, DriverVersion.AtLeast(driver, least));
}
