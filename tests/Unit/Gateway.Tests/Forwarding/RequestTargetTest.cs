using Sluice.Gateway.Http;

namespace Sluice.Gateway.Tests.Forwarding;

public sealed class RequestTargetTest
{
    [Theory]
    [InlineData("/e/files/a/b?x=1", "/e/files/a/b", 2, "/a/b?x=1")]
    [InlineData("/e/files", "/e/files", 2, "/")]
    [InlineData("/e/files?x", "/e/files", 2, "/?x")]
    [InlineData("/e/%66iles/%2Fa%zz/%252e", "/e/files/%2Fa%zz/%2e", 2, "/%2Fa%zz/%252e")]
    [InlineData("/e/files//", "/e/files//", 2, "//")]
    [InlineData("http://host:8080/e/files/a?x", "/e/files/a", 2, "/a?x")]
    [InlineData("/v2/models/m/infer", "/v2/models/m/infer", 0, "/v2/models/m/infer")]
    [InlineData("/e/files/..a/.b/...", "/e/files/..a/.b/...", 2, "/..a/.b/...")]
    public void The_path_is_forwarded_as_it_was_sent(string raw, string decoded, int skip, string expected)
    {
        Assert.Null(RequestTarget.Read(raw, decoded, skip, out var target));
        Assert.Equal(expected, target);
    }

    [Theory]
    [InlineData("/e/a/../b", "/e/b")]
    [InlineData("/e/a/.%2e/b", "/e/b")]
    [InlineData("/e/a/%2E/b", "/e/a/b")]
    [InlineData("/e/a/..", "/e/")]
    [InlineData("http://host/e/a%2Fb", "/e/a/b")]
    [InlineData("http://host", "/")]
    [InlineData("*", "")]
    [InlineData("/e/a#b", "/e/a#b")]
    public void An_ambiguous_path_is_rejected(string raw, string decoded) =>
        Assert.NotNull(RequestTarget.Read(raw, decoded, 2, out _));
}
