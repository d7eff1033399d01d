using Sluice.Domain.Declarations;

namespace Sluice.Gateway.Tests.Auth;

public sealed class CorsPolicyTest
{
    [Theory]
    [InlineData("*")]
    [InlineData("https://app.example.com")]
    [InlineData("http://localhost:3000")]
    [InlineData("https://127.0.0.1:8443")]
    [InlineData("chrome-extension://abcdefghijklmnop")]
    [InlineData("capacitor://localhost")]
    public void An_origin_that_a_browser_sends_is_valid(string text) => Assert.True(CorsPolicy.IsOrigin(text));

    [Theory]
    [InlineData("")]
    [InlineData("app.example.com")]
    [InlineData("https://app.example.com/")]
    [InlineData("https://app.example.com/path")]
    [InlineData("https://App.example.com")]
    [InlineData("https://app.example.com:443")]
    [InlineData("https://user@app.example.com")]
    [InlineData("https://*.example.com")]
    [InlineData("https://app.example.com\n")]
    [InlineData("null")]
    public void An_origin_that_a_browser_never_sends_is_invalid(string text) => Assert.False(CorsPolicy.IsOrigin(text));
}
