using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Tests.Forwarding;

public sealed class HeaderRulesTest
{
    [Theory]
    [InlineData("Authorization", true)]
    [InlineData("authorization", true)]
    [InlineData("Cookie", true)]
    [InlineData("Proxy-Authorization", true)]
    [InlineData("X-Forwarded-For", true)]
    [InlineData("X-Forwarded-Anything", true)]
    [InlineData("Forwarded", true)]
    [InlineData("X-Real-IP", true)]
    [InlineData("X-Sluice-Worker", true)]
    [InlineData("Connection", true)]
    [InlineData("X-Sluice_Admin", true)]
    [InlineData("X_Sluice-Admin", true)]
    [InlineData("X-Forwarded_Proto", true)]
    [InlineData("Proxy_Authorization", true)]
    [InlineData("X-Request_Id", true)]
    [InlineData("Transfer_Encoding", true)]
    [InlineData("My_Header", false)]
    [InlineData("Content-Type", false)]
    [InlineData("Accept", false)]
    [InlineData("Inference-Header-Content-Length", false)]
    [InlineData("endpoint-load-metrics-format", false)]
    [InlineData("traceparent", false)]
    public void Request_headers_are_removed_by_the_rules(string name, bool stripped) =>
        Assert.Equal(stripped, HeaderRules.StripFromRequest(name));

    [Theory]
    [InlineData("Server", true)]
    [InlineData("Set-Cookie", true)]
    [InlineData("Strict-Transport-Security", true)]
    [InlineData("Alt-Svc", true)]
    [InlineData("X-Accel-Redirect", true)]
    [InlineData("x-accel-buffering", true)]
    [InlineData("X-Sendfile", true)]
    [InlineData("Service-Worker-Allowed", true)]
    [InlineData("NEL", true)]
    [InlineData("Report-To", true)]
    [InlineData("WWW-Authenticate", true)]
    [InlineData("Refresh", true)]
    [InlineData("X-Sluice-Tokens", true)]
    [InlineData("X-Powered-By", true)]
    [InlineData("Content-Type", false)]
    [InlineData("Cache-Control", false)]
    [InlineData("Inference-Header-Content-Length", false)]
    [InlineData("endpoint-load-metrics", false)]
    [InlineData("Retry-After", false)]
    public void Response_headers_are_removed_by_the_rules(string name, bool stripped) =>
        Assert.Equal(stripped, HeaderRules.StripFromResponse(name));
}
