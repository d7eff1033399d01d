using Sluice.Domain.Declarations;

namespace Sluice.Domain.Tests.Declarations;

/// <summary>Variables and secrets in the texts of declarations.</summary>
public sealed class VariablesTest
{
    [Theory]
    [InlineData("a", "a")]
    [InlineData("${A}", "1")]
    [InlineData("x${A}y${B:-z}", "x1yz")]
    [InlineData("${EMPTY}|${EMPTY:-d}|${A:-d}", "|d|1")]
    [InlineData("$${A} $A $$ ${secret:a-b}", "${A} $A $$ ${secret:a-b}")]
    [InlineData("${NONE}", "", "NONE")]
    [InlineData("${NONE:-}", "")]
    [InlineData("${a-b} ${A", "a-b} A", "", "${a-b} ${A|${A")]
    public void Variables_are_replaced(string text, string expected, string missing = "", string invalid = "")
    {
        var values = new Dictionary<string, string> { ["A"] = "1", ["EMPTY"] = "" };
        var (absent, wrong) = (new List<string>(), new List<string>());
        Assert.Equal(expected, Variables.Expand(text, values.GetValueOrDefault, absent, wrong));
        Assert.Equal((missing, invalid), (string.Join('|', absent), string.Join('|', wrong)));
    }

    [Fact]
    public void A_value_with_a_reference_is_not_read_again() =>
        Assert.Equal("${B}", Variables.Expand("${A}", _ => "${B}", [], []));

    [Fact]
    public void The_names_in_a_text_are_found() =>
        Assert.Equal(["A", "B"], Variables.NamesIn("${A} $${C} ${B:-x} ${A} ${secret:d} $E"));

    [Theory]
    [InlineData("Bearer ${secret:token}", "Bearer <token>")]
    [InlineData("${secret:a}${secret:b}", "<a><b>")]
    [InlineData("${A}", "${A}")]
    public void References_to_secrets_are_replaced(string text, string expected) =>
        Assert.Equal(expected, SecretReference.Resolve(text, name => $"<{name}>"));

    [Theory]
    [InlineData("${secret:}")]
    [InlineData("${secret:../a}")]
    [InlineData("${secret:A}")]
    [InlineData("${secret:a")]
    public void A_secret_with_an_invalid_name_is_an_error_of_the_endpoint(string value)
    {
        var env = new Dictionary<string, string> { ["X"] = value };
        var endpoint = new Endpoint { Id = "e", Template = "t", Env = env };
        var error = Assert.Single(EndpointRules.Check(endpoint, "", ["t"], []));
        Assert.Equal("env.X", error.Field);
        Assert.Contains("${secret:NAME}", error.Expected, StringComparison.Ordinal);
    }
}
