using Sluice.ControlPlane.Manifests;
using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;

namespace Sluice.Domain.Tests.Gpus;

/// <summary>GPU requirements in declarations, and inventory files.</summary>
public sealed class GpuRequirementsTest
{
    [Fact]
    public void Requirements_of_a_template_survive_json()
    {
        var (file, errors) = Manifest.Parse("""
            templates:
              - name: big
                gpu:
                  { types: [H100, AMPERE_80], count: 2, nvLink: true, precision: fp8, minComputeCapability: 8.9,
                    cuda: 13, minDriver: 580.65,
                    minMemory: 40GiB, confidential: true }
              - { name: slice, gpu: { mig: 1g.10gb } }
              - { name: shared, gpu: { share: 12GiB } }
              - { name: percent, gpu: { share: 25% } }
              - { name: none }
            endpoints:
              - { id: e, template: big, placement: { priority: 5, weight: 3 } }
            """);
        Assert.Empty(errors);
        var big = file!.Templates[0].Gpu!;
        Assert.Equal(["H100", "AMPERE_80"], big.Types);
        Assert.Equal((2, true, Precision.Fp8, new ComputeCapability(8, 9)),
            (big.Count, big.NvLink, big.Precision, big.MinComputeCapability));
        Assert.Equal((13, "580.65", 40L << 30, true), (big.Cuda, big.MinDriver, big.MinMemory, big.Confidential));
        Assert.Equal(MigProfile.Parse("1g.10gb"), file.Templates[1].Gpu!.Mig);
        Assert.Equal([12 * 1024, 20390], file.Templates.Skip(2).Take(2).Select(t => t.Gpu!.Share!.Value.ToMiB(81560)));
        Assert.Null(file.Templates[4].Gpu);
        Assert.Equal((5, 3), (file.Endpoints[0].Placement.Priority, file.Endpoints[0].Placement.Weight));

        foreach (var template in file.Templates)
        {
            var text = DeclarationSerializer.Write(template, DeclarationJson.Template);
            var again = new List<FieldError>();
            var read = DeclarationSerializer.Read(
                System.Text.Json.Nodes.JsonNode.Parse(text), DeclarationJson.Template, "", again);
            Assert.Empty(again);
            Assert.Equal(text, DeclarationSerializer.Write(read!, DeclarationJson.Template));
        }
    }

    [Theory]
    [InlineData("types: [H10O]", "templates[0].gpu.types is H10O; expected one of V100-32")]
    [InlineData("types: [H100, h100]", "templates[0].gpu.types is H100, h100; expected unique values")]
    [InlineData("count: 0", "templates[0].gpu.count is 0; expected 1 to 64")]
    [InlineData("count: 2, mig: 1g.10gb",
        "templates[0].gpu.count is 2; expected 1: a process can use only one MIG slice")]
    [InlineData("count: 2, share: 50%", "templates[0].gpu.count is 2; expected 1: a share is a part of one GPU")]
    [InlineData("mig: 10gb", "templates[0].gpu.mig is \"10gb\"; expected a MIG profile like 1g.10gb")]
    [InlineData("mig: 1g.10gb, minMig: 1g.10gb", "templates[0].gpu.minMig")]
    [InlineData("share: 120%", "templates[0].gpu.share is \"120%\"; expected a part of a GPU's memory: 1% to 100%")]
    [InlineData("share: 0MiB", "templates[0].gpu.share")]
    [InlineData("share: 10%, mig: 1g.10gb", "templates[0].gpu.share is 10%; expected no value: a MIG slice")]
    [InlineData("nvLink: true", "templates[0].gpu.nvLink")]
    [InlineData("precision: fp64", "templates[0].gpu.precision is \"fp64\"; expected one of fp32, fp16")]
    [InlineData("minComputeCapability: high",
        "templates[0].gpu.minComputeCapability is \"high\"; expected a compute capability like 7.0")]
    [InlineData("cuda: 11", "templates[0].gpu.cuda is 11; expected 12 or 13")]
    [InlineData("minDriver: new", "templates[0].gpu.minDriver is new; expected a version like 580")]
    [InlineData("minMemory: lots", "templates[0].gpu.minMemory is \"lots\"")]
    [InlineData("kind: H100", "templates[0].gpu.kind is \"H100\"; expected a known field")]
    public void An_error_contains_field_value_and_rule(string gpu, string expected)
    {
        var (_, errors) = Manifest.Parse($"templates: [{{ name: a, gpu: {{ {gpu} }} }}]");
        Assert.Contains(errors, e => e.ToString().Contains(expected, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("priority: 1001", "endpoints[0].placement.priority is 1001; expected -1000 to 1000")]
    [InlineData("weight: 0", "endpoints[0].placement.weight is 0; expected 1 to 1000")]
    public void Priority_and_weight_are_limited(string placement, string expected)
    {
        var (_, errors) =
            Manifest.Parse("templates: [{ name: a }]\n"
                + $"endpoints: [{{ id: e, template: a, placement: {{ {placement} }} }}]");
        Assert.Contains(errors, e => e.ToString().Contains(expected, StringComparison.Ordinal));
    }

    [Fact]
    public void An_inventory_file_gets_omitted_properties_from_the_catalog()
    {
        var inventory = Fleet.Of("""
            { "gpus": [
                { "name": "NVIDIA H100 80GB HBM3", "count": 2, "nvLinks": 18 },
                { "name": "NVIDIA A100-SXM4-80GB", "mig": [{ "profile": "1g.10gb", "count": 2 },
                    { "profile": "3g.40gb", "uuid": "MIG-mine" }] },
                { "name": "My GPU", "uuid": "GPU-mine", "memoryMiB": 1000, "computeCapability": 8.6, "fault": "burnt" },
              ],
              "links": [{ "gpus": [2, 3], "way": "PIX" }] }
            """);
        Assert.Equal([81920L, 81920L, 81920L, 1000L], inventory.Gpus.Select(g => g.MemoryMiB));
        Assert.Equal(4, inventory.Gpus.Select(g => g.Uuid).Distinct().Count());
        Assert.Equal(("GPU-mine", new ComputeCapability(8, 6), "burnt"),
            (inventory.Gpus[3].Uuid, inventory.Gpus[3].ComputeCapability, inventory.Gpus[3].Fault));
        Assert.Equal(["1g.10gb", "1g.10gb", "3g.40gb"], inventory.Gpus[2].Slices.Select(s => s.Profile.ToString()));
        Assert.Equal((true, "MIG-mine"), (inventory.Gpus[2].MigEnabled, inventory.Gpus[2].Slices[2].Uuid));
        Assert.Equal([(LinkKind.NV, 18), (LinkKind.PIX, 0)], inventory.Links.Select(l => (l.Kind, l.NvLinks)));
    }

    [Theory]
    [InlineData("{", "line 1: (file)")]
    [InlineData("{}", "gpus: expected a value (required)")]
    [InlineData("""{"gpus":[{"name":"My GPU"}]}""",
        "gpus[0].memoryMiB is 0; expected the memory in MiB, because the catalog does not contain this name")]
    [InlineData("""{"gpus":[{"name":"Tesla T4","count":0}]}""", "gpus[0].count is 0")]
    [InlineData("""{"gpus":[{"name":"Tesla T4","count":2,"uuid":"GPU-1"}]}""",
        "gpus[0].uuid is GPU-1; expected no value, because count is not 1")]
    [InlineData("""{"gpus":[{"name":"Tesla T4","uuid":"GPU-1"},{"name":"Tesla T4","uuid":"GPU-1"}]}""",
        "gpus is GPU-1; expected unique uuids")]
    [InlineData("""{"gpus":[{"name":"Tesla T4"}],"links":[{"gpus":[0,1],"nvLinks":2}]}""",
        "links[0].gpus is 1; expected indexes of 0 to 0")]
    [InlineData("""{"gpus":[{"name":"Tesla T4","mig":[{"profile":"7x"}]}]}""",
        "gpus[0].mig[0].profile is \"7x\"; expected a MIG profile")]
    [InlineData("""{"gpus":[{"nam":"Tesla T4"}]}""", "did you mean name?")]
    public void Errors_of_an_inventory_file_are_reported(string json, string expected)
    {
        var (inventory, errors) = InventoryFile.Parse(json, "file");
        Assert.Null(inventory);
        Assert.Contains(errors, e => e.ToString().Contains(expected, StringComparison.Ordinal));
    }
}
