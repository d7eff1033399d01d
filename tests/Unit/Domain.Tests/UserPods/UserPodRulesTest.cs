using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;

namespace Sluice.Domain.Tests.UserPods;

/// <summary>Tests that each error of a pod names the field, the value and the rule.</summary>
public sealed class UserPodRulesTest
{
    public static TheoryData<string, UserPodSpec, string> Invalid { get; } = new()
    {
        { "name", Pods.Spec with { Name = "" }, "1 to 100 characters" },
        { "name", Pods.Spec with { Name = new string('n', 101) }, "1 to 100 characters" },
        { "name", Pods.Spec with { Name = "a\nb" }, "without control characters" },
        { "image", Pods.Spec with { Image = "Not An Image" }, "an image like" },
        { "image", Pods.Spec with { Image = "" }, "the name of a template" },
        { "command", Pods.Spec with { Command = ["sh", ""] }, "none of them empty" },
        { "args", Pods.Spec with { Args = [""] }, "none of them empty" },
        { "ports[1]", Pods.Spec with { Ports = ["1/http", "x"] }, PodPort.Expected },
        { "ports[1]", Pods.Spec with { Ports = ["1/http", "1/tcp"] }, "a number that no other port has" },
        { "ports", Pods.Spec with { Ports = [.. Enumerable.Range(1, 21).Select(n => $"{n}/http")] }, "0 to 20" },
        { "volume.path", Pods.Spec with { Volume = new PodVolume { Path = "work" } }, "an absolute path" },
        { "volume.path", Pods.Spec with { Volume = new PodVolume { Path = "/" } }, "except /" },
        { "volume.path", Pods.Spec with { Volume = new PodVolume { Path = "/a/../etc" } }, "without '..'" },
        { "volume.path", Pods.Spec with { Volume = new PodVolume { Path = "/a:b" } }, "an absolute path" },
        { "volume.size", Pods.Spec with { Volume = new PodVolume { Size = -1 } }, "0 to" },
        { "disk", Pods.Spec with { Disk = -1 }, "0 to" },
        { "idleTimeout", Pods.Spec with { IdleTimeout = TimeSpan.FromMilliseconds(1) }, "1s to" },
        { "stopAfter", Pods.Spec with { StopAfter = TimeSpan.FromDays(366) }, "1s to" },
        { "terminateAfter", Pods.Spec with { TerminateAfter = TimeSpan.FromDays(-1) }, "1s to" },
        { "stopGrace", Pods.Spec with { StopGrace = TimeSpan.FromHours(2) }, "to" },
        { "startTimeout", Pods.Spec with { StartTimeout = TimeSpan.Zero }, "to" },
        { "container.pids", Pods.Spec with { Container = UserPodSpec.DefaultContainer with { Pids = 0 } }, "4 to" },
    };

    [Theory]
    [MemberData(nameof(Invalid))]
    public void An_invalid_field_is_reported_with_its_rule(string field, UserPodSpec spec, string rule)
    {
        var error = Assert.Single(UserPodRules.Check(spec));
        Assert.Equal(field, error.Field);
        Assert.Contains(rule, error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_valid_pod_has_no_errors()
    {
        Assert.Empty(UserPodRules.Check(Pods.Spec));
        Assert.Empty(UserPodRules.Check(new UserPodSpec { Name = "ä", Template = "shell", Command = ["/bin/sh"] }));
        Assert.Empty(UserPodRules.Check(
            Pods.GpuSpec with { Volume = new PodVolume(), IdleTimeout = TimeSpan.FromHours(1) }));
    }

    [Fact]
    public void All_errors_are_reported_together() => Assert.Equal(["name", "ports[0]", "disk"],
        UserPodRules.Check(Pods.Spec with { Name = "", Ports = ["8888"], Disk = -1 }).Select(e => e.Field));

    [Theory]
    [InlineData("a0123456789abc", true)]
    [InlineData("a0123456789ab", false)]
    [InlineData("a0123456789abcd", false)]
    [InlineData("A0123456789abc", false)]
    [InlineData("a0123456789ab-", false)]
    [InlineData("a0123456789abc\n", false)]
    public void An_id_has_14_letters_and_digits(string text, bool valid) =>
        Assert.Equal(valid, UserPodRules.IsId(text));

    [Theory]
    [InlineData("8888/http", 8888, true)]
    [InlineData("22/tcp", 22, false)]
    [InlineData("65535/tcp", 65535, false)]
    public void A_port_has_a_number_and_a_kind(string text, int number, bool isHttp)
    {
        Assert.True(PodPort.TryParse(text, out var port));
        Assert.Equal(new PodPort(number, isHttp), port);
        Assert.Equal(text, port.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("8888")]
    [InlineData("/http")]
    [InlineData("0/http")]
    [InlineData("65536/http")]
    [InlineData("-1/http")]
    [InlineData("+1/http")]
    [InlineData(" 1/http")]
    [InlineData("1/HTTP")]
    [InlineData("1/udp")]
    [InlineData("1/http/x")]
    [InlineData("99999999999999999999/tcp")]
    public void Any_other_text_is_no_port(string text)
    {
        Assert.False(PodPort.TryParse(text, out var port));
        Assert.Equal(default, port);
    }

    [Theory]
    [InlineData("pods")]
    [InlineData("serverless")]
    [InlineData("templates")]
    [InlineData("billing")]
    public void An_endpoint_cannot_have_the_id_of_a_path_of_the_pods_api(string id)
    {
        var endpoint = new Endpoint { Id = id, Template = "t" };
        Assert.Equal("id", Assert.Single(EndpointRules.Check(endpoint, "", ["t"], [])).Field);
    }
}
