using System.Text.Json.Nodes;
using Sluice.Gateway.UserPods;

namespace Sluice.Gateway.Tests.UserPods;

/// <summary>Tests the fields of RunPod's pods, and the errors of those that this gateway has not.</summary>
public sealed class RunPodPodRequestTest
{
    private const string Cpu = "\"name\":\"n\",\"cpu\":{\"id\":\"cpu\",\"vcpuCount\":2}";

    [Theory]
    [InlineData("\"image\":\"i:1\"", "image", "\"i:1\"")]
    [InlineData("\"templateId\":\"notebook\"", "template", "\"notebook\"")]
    [InlineData("\"args\":\"-c 'a b'\"", "args", "[\"-c\",\"a b\"]")]
    [InlineData("\"disk\":20", "disk", "20000000000")]
    [InlineData("\"env\":{\"A\":\"1\"}", "env", "{\"A\":\"1\"}")]
    [InlineData("\"ports\":[\"8888/http\",\"22/tcp\"]", "ports", "[\"8888/http\",\"22/tcp\"]")]
    [InlineData("\"mounts\":{\"persistent\":{\"size\":10,\"path\":\"/w\"}}", "volume",
        "{\"path\":\"/w\",\"size\":10000000000}")]
    [InlineData("\"startJupyter\":true", "application", "\"jupyter\"")]
    [InlineData("\"startJupyter\":false", "application", null)]
    [InlineData("\"startSsh\":true", "startSsh", null)]
    [InlineData("\"cloud\":\"SECURE\"", "cloud", null)]
    [InlineData("\"dataCenterIds\":[]", "dataCenterIds", null)]
    [InlineData("\"globalNetworking\":false", "globalNetworking", null)]
    [InlineData("\"registry\":null", "registry", null)]
    public void A_field_is_translated(string given, string field, string? value)
    {
        var request = Read($"{{{Cpu},{given}}}");
        Assert.Empty(request.Errors);
        Assert.Equal(value, request.Fields[field]?.ToJsonString());
        Assert.Equal("{\"cpus\":2}", request.Fields["container"]!.ToJsonString());
    }

    [Theory]
    [InlineData("""{"id":"NVIDIA L4"}""", """{"types":["NVIDIA L4"]}""")]
    [InlineData("""{"id":"A100","count":2}""", """{"types":["A100"],"count":2}""")]
    [InlineData("""{"id":"A100","minCudaVersion":"12.8"}""", """{"types":["A100"],"cuda":12}""")]
    [InlineData("""{"id":"A100","allowedCudaVersions":[]}""", """{"types":["A100"]}""")]
    public void A_gpu_is_translated(string given, string value)
    {
        var request = Read($"{{\"name\":\"n\",\"gpu\":{given}}}");
        Assert.Empty(request.Errors);
        Assert.Equal(value, request.Fields["gpu"]!.ToJsonString());
    }

    [Theory]
    [InlineData("\"volumeInGb\":1", "volumeInGb is 1; expected a known field")]
    [InlineData("\"image\":1", "image is 1; expected a text")]
    [InlineData("\"args\":\"'a\"", "args is ")]
    [InlineData("\"disk\":0", "disk is 0; expected a number from 1")]
    [InlineData("\"disk\":\"20\"", "disk is \"20\"; expected a number from 1")]
    [InlineData("\"mounts\":[]", "mounts is []; expected an object")]
    [InlineData("\"mounts\":{\"network\":[]}", "mounts.network is []; expected mounts.persistent")]
    [InlineData("\"mounts\":{\"persistent\":{\"size\":1}}", "mounts.persistent is {\"size\":1}; expected size")]
    [InlineData("\"startJupyter\":1", "startJupyter is 1; expected true or false")]
    [InlineData("\"startSsh\":\"yes\"", "startSsh is \"yes\"; expected true or false")]
    [InlineData("\"cloud\":\"MOON\"", "cloud is \"MOON\"; expected SECURE or COMMUNITY")]
    [InlineData("\"dataCenterIds\":[\"US\"]", "dataCenterIds is [\"US\"]; expected an empty list")]
    [InlineData("\"globalNetworking\":true", "globalNetworking is true; expected false")]
    [InlineData("\"registry\":\"r\"", "registry is \"r\"; expected null")]
    public void An_invalid_field_is_reported_with_its_value_and_rule(string given, string error) =>
        Assert.StartsWith(error, Assert.Single(Read($"{{{Cpu},{given}}}").Errors), StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"name":"n"}""", "gpu, cpu: expected exactly one of them")]
    [InlineData("""{"name":"n","gpu":{"id":"L4"},"cpu":{"id":"c","vcpuCount":1}}""", "gpu, cpu: expected exactly one")]
    [InlineData("""{"cpu":{"id":"c","vcpuCount":1}}""", "name is missing; expected a text")]
    [InlineData("""{"name":"n","gpu":{}}""", "gpu.id is missing; expected the name of a GPU type")]
    [InlineData("""{"name":"n","gpu":"L4"}""", "gpu is \"L4\"; expected an object")]
    [InlineData("""{"name":"n","gpu":{"id":"L4","kind":1}}""", "gpu.kind is 1; expected id, count")]
    [InlineData("""{"name":"n","gpu":{"id":"L4","minCudaVersion":12}}""", "gpu.minCudaVersion is 12; expected")]
    [InlineData("""{"name":"n","cpu":{"id":"c","vcpuCount":0}}""", "cpu.vcpuCount is 0; expected a number of cores")]
    [InlineData("""{"name":"n","cpu":{"vcpuCount":1}}""", "cpu.id is missing; expected a text")]
    [InlineData("""{"name":"n","cpu":2}""", "cpu is 2; expected an object")]
    public void A_new_pod_has_a_name_and_either_gpu_or_cpu(string body, string error) =>
        Assert.StartsWith(error, Assert.Single(Read(body).Errors), StringComparison.Ordinal);

    [Fact]
    public void A_change_needs_no_field()
    {
        var request = RunPodPodRequest.Read(new JsonObject { ["locked"] = true }, creates: false);
        Assert.Empty(request.Errors);
        Assert.Empty(request.Fields);
        Assert.True(request.Locked);
        Assert.Null(RunPodPodRequest.Read([], creates: false).Locked);
    }

    private static RunPodPodRequest Read(string body) =>
        RunPodPodRequest.Read(JsonNode.Parse(body)!.AsObject(), creates: true);
}
