using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Gateway.UserPods;

namespace Sluice.Gateway.Tests.UserPods;

/// <summary>Tests how the fields of a request, of a template and of a pod are combined.</summary>
public sealed class UserPodMergeTest
{
    [Theory]
    [InlineData("""{"a":1}""", """{"b":2}""", """{"a":1,"b":2}""")]
    [InlineData("""{"a":1}""", """{"a":2}""", """{"a":2}""")]
    [InlineData("""{"a":[1,2]}""", """{"a":[3]}""", """{"a":[3]}""")]
    [InlineData("""{"env":{"A":"1","B":"1"}}""", """{"env":{"B":"2","C":"2"}}""",
        """{"env":{"A":"1","B":"2","C":"2"}}""")]
    [InlineData("""{"gpu":{"count":1}}""", """{"gpu":null}""", """{"gpu":null}""")]
    [InlineData("""{"a":{"b":1}}""", """{"a":2}""", """{"a":2}""")]
    [InlineData("""{"a":2}""", """{"a":{"b":1}}""", """{"a":{"b":1}}""")]
    public void Objects_are_combined_and_other_values_replaced(string fields, string over, string merged)
    {
        var (before, request) = (JsonNode.Parse(fields)!.AsObject(), JsonNode.Parse(over)!.AsObject());
        Assert.Equal(merged, UserPodMerge.Merge(before, request).ToJsonString());
        Assert.Equal(fields, before.ToJsonString());
        Assert.Equal(over, request.ToJsonString());
    }

    [Fact]
    public void A_template_gives_its_container_and_its_policy()
    {
        var template = new Template
        {
            Name = "notebook",
            Image = "notebook:1",
            Args = ["--x"],
            Env = new Dictionary<string, string> { ["A"] = "1" },
            StopGrace = TimeSpan.FromSeconds(3),
            Pod = new PodPolicy
            {
                Ports = ["8888/http"],
                Volume = new PodVolume(),
                Application = PodApplication.Jupyter,
            },
        };
        var fields = UserPodMerge.FieldsOf(template);
        Assert.Equal("notebook", (string?)fields["template"]);
        Assert.Equal("notebook:1", (string?)fields["image"]);
        Assert.Equal("1", (string?)fields["env"]!["A"]);
        Assert.Equal("3s", (string?)fields["stopGrace"]);
        Assert.Equal("8888/http", (string?)fields["ports"]![0]);
        Assert.Equal("/workspace", (string?)fields["volume"]!["path"]);
        Assert.Equal("jupyter", (string?)fields["application"]);
        Assert.DoesNotContain("protocol", fields.Select(f => f.Key));
        Assert.DoesNotContain("pod", fields.Select(f => f.Key));
    }
}
