using System.Text.Json.Nodes;
using Sluice.Domain.Usage;
using Sluice.Gateway.Usage;
using Sluice.Storage.Usage;

namespace Sluice.Gateway.Tests.Usage;

/// <summary>The fields of budgets, and the texts of refusals.</summary>
public sealed class BudgetFieldsTest
{
    private static readonly DateTimeOffset Begin = new(2026, 11, 30, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void All_fields_are_read()
    {
        var (budget, errors) = Read("""
            {"name":"v","scope":"tag","target":"team=vision","unit":"workerSeconds","window":"week","limit":1.5,
             "webhook":"https://example.com/a"}
            """);
        Assert.Empty(errors);
        Assert.Equal(new Budget
        {
            Id = "b", Name = "v", Scope = BudgetScope.Tag, Target = "team=vision", Unit = BudgetUnit.WorkerSeconds,
            Window = UsageStep.Week, Limit = 1.5, Webhook = "https://example.com/a",
        }, budget);
    }

    [Theory]
    [InlineData("""{"scope":"gateway","target":"x","unit":"tokens","window":"day","limit":1}""", "target")]
    [InlineData("""{"scope":"key","unit":"tokens","window":"day","limit":1}""", "target")]
    [InlineData("""{"scope":"tag","target":"vision","unit":"tokens","window":"day","limit":1}""", "target")]
    [InlineData("""{"scope":"gateway","unit":"tokens","window":"day","limit":1.5}""", "limit")]
    [InlineData("""{"scope":"gateway","unit":"money","window":"day","limit":0}""", "limit")]
    [InlineData("""{"scope":"gateway","unit":"money","window":"day","limit":"5"}""", "limit")]
    [InlineData("""{"scope":"gateway","unit":"money","window":"hour","limit":5}""", "window")]
    [InlineData("""{"scope":"1","unit":"money","window":"day","limit":5}""", "scope")]
    [InlineData("""{"scope":"gateway","unit":"money","window":"day","limit":5,"name":7}""", "name")]
    [InlineData("[]", "(all)")]
    public void An_invalid_field_is_named(string body, string field) =>
        Assert.Equal(field, Assert.Single(Read(body).Errors).Field);

    [Theory]
    [InlineData(BudgetScope.Gateway, "", true)]
    [InlineData(BudgetScope.Endpoint, "e", true)]
    [InlineData(BudgetScope.Endpoint, "k", false)]
    [InlineData(BudgetScope.Key, "k", true)]
    [InlineData(BudgetScope.Key, "e", false)]
    [InlineData(BudgetScope.Tag, "team=vision", true)]
    [InlineData(BudgetScope.Tag, "team=speech", false)]
    [InlineData(BudgetScope.Tag, "other=vision", false)]
    public void A_budget_counts_the_requests_of_its_scope(BudgetScope scope, string target, bool counts)
    {
        var budget = New(BudgetUnit.Requests) with { Scope = scope, Target = target };
        Assert.Equal(counts, budget.Counts("e", "k", new Dictionary<string, string> { ["team"] = "vision" }));
    }

    [Fact]
    public void A_refusal_states_the_limit_what_is_used_the_window_and_its_end()
    {
        var budget = New(BudgetUnit.Money) with { Scope = BudgetScope.Key, Target = "k", Limit = 5 };
        var refusal = new BudgetRefusal(budget, new BudgetState(4.5, Begin, Begin.AddDays(1)), 600_000);
        Assert.Equal("Budget b of key k allows 5 EUR per day; 4.5 are used, and this request reserves 0.6. It resets "
            + "at 2026-12-01T00:00:00Z (UTC day).", BudgetTexts.Describe(refusal, isNamed: true, "EUR"));
        Assert.Equal("The budget for requests without a key is used up. It resets at 2026-12-01T00:00:00Z.",
            BudgetTexts.Describe(refusal, isNamed: false, "EUR"));
    }

    [Fact]
    public void Only_the_name_the_limit_and_the_webhook_change()
    {
        var budget = New(BudgetUnit.Money) with { Scope = BudgetScope.Key, Target = "k" };
        Assert.Empty(BudgetFields.Compare(budget, budget with { Name = "n", Limit = 7, Webhook = "https://a/" }));
        var errors = BudgetFields.Compare(budget, New(BudgetUnit.Tokens) with { Window = UsageStep.Week });
        Assert.Equal("scope is \"gateway\"; expected \"key\" as before: create another budget instead",
            errors.First().ToString());
        Assert.Equal(["scope", "target", "unit", "window"], errors.Select(e => e.Field));
    }

    private static Budget New(BudgetUnit unit) =>
        new() { Id = "b", Unit = unit, Window = UsageStep.Day, Limit = 1 };

    private static (Budget Budget, List<Sluice.Domain.Declarations.FieldError> Errors) Read(string body) =>
        BudgetFields.Read(JsonNode.Parse(body), "b");
}
