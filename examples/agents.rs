//! An agent works a shop by tool calls: it is given the manifest, calls by name with JSON, is refused, and tries again.
//!
//! The model is a script: what it answers is written here, and what it is told is checked. A real one is given
//! `registry.manifest()` and the results, and answers with calls of the same form.

use heirloom::prelude::*;
use heirloom::{CallError, Commits, Outcome, Result};
use serde_json::{Value as Json, json};

#[derive(Entity, Clone)]
struct Shop {
    id: Id<Shop>,
    name: String,
    items: Children<Item>,
}

#[derive(Entity, Clone)]
struct Item {
    id: Id<Item>,
    name: String,
    cents: u32,
    stock: u32,
}

#[derive(Entity, Clone)]
struct Order {
    id: Id<Order>,
    customer: String,
    item: Id<Item>,
    count: u32,
    cents: u32,
}

#[derive(Value, Clone)]
struct Offer {
    item: Id<Item>,
    name: String,
    cents: u32,
    stock: u32,
}

fn search(shop: &Shop, words: String) -> Vec<Offer> {
    let found = shop.items.iter().filter(|item| item.name.contains(&words));
    found.map(|item| Offer { item: item.id, name: item.name.clone(), cents: item.cents, stock: item.stock }).collect()
}

fn discount(item: &mut Item, percent: u8) -> Result<u32, String> {
    if percent > 30 {
        return Err(format!("{percent} % is more than an agent may give: 30 at most"));
    }
    item.cents -= item.cents * u32::from(percent) / 100;
    Ok(item.cents)
}

fn order(item: &mut Item, customer: String, count: u32) -> Result<Order, String> {
    let left = item.stock.checked_sub(count);
    item.stock = left.ok_or_else(|| format!("{} {} were asked for, and there are {}", count, item.name, item.stock))?;
    Ok(Order { id: Id::new(), customer, item: item.id, count, cents: item.cents * count })
}

fn id<T>(name: &str) -> Id<T> {
    Id::from_entity_id(EntityId::derive("example", name))
}

fn shop() -> Result<Registry> {
    let registry = Registry::in_memory();
    let _ = registry
        .register("search", search)?
        .params(["shop", "words"])?
        .docs("Finds the items of a shop whose name holds these words.")?;
    let _ = registry
        .register("discount", discount)?
        .params(["item", "percent"])?
        .docs("Lowers the price of an item by so many percent.")?
        .code_version("2")?;
    let _ = registry
        .register("order", order)?
        .params(["item", "customer", "count"])?
        .docs("Orders so many of an item for a customer, and takes them out of the stock.")?;
    let item = |name: &str, cents, stock| Item { id: id(name), name: name.to_owned(), cents, stock };
    let items =
        Children::try_from_iter([item("oak chair", 4000, 5), item("pine chair", 2500, 2), item("lamp", 900, 9)])?;
    registry.by("owner").add(Shop { id: id("shop"), name: "Corner".to_owned(), items })?;
    Ok(registry)
}

/// What the model does next, and what it expects to be told of it.
struct Turn {
    says: &'static str,
    calls: Json,
    told: &'static [&'static str],
}

fn script() -> Vec<Turn> {
    let (shop, oak, pine, lamp) = (
        format!("@{}", id::<Shop>("shop")),
        format!("@{}", id::<Item>("oak chair")),
        format!("@{}", id::<Item>("pine chair")),
        format!("@{}", id::<Item>("lamp")),
    );
    vec![
        Turn {
            says: "What chairs are there?",
            calls: json!([{"name": "search", "input": {"shop": shop, "words": "chair"}}]),
            told: &["oak chair"],
        },
        Turn {
            says: "Half the price should convince them.",
            calls: json!([{"name": "discount", "input": {"item": oak, "percent": 50}}]),
            told: &["30 at most"],
        },
        Turn {
            says: "Then as much as I may give.",
            calls: json!([{"name": "discount", "input": {"item": oak, "percent": "30 %"}}]),
            told: &["expected an integer from 0 to 255"],
        },
        Turn {
            says: "As a number.",
            calls: json!([{"name": "discount", "input": {"item": oak, "percent": 30}}]),
            told: &["2800"],
        },
        Turn {
            says: "Now everything that Ann wants.",
            calls: json!([
                {"name": "order", "input": {"item": oak, "customer": "Ann", "count": 4}},
                {"name": "order", "input": {"item": pine, "customer": "Ann", "amount": 4}},
                {"name": "order", "input": {"item": pine, "customer": "Ann", "count": 4}},
                {"name": "sell", "input": {"item": lamp}},
                {"name": "order", "input": {"item": lamp, "customer": "Ann", "count": 1}},
            ]),
            told: &["@", "its parameters are item: &mut Item", "there are 2", "known are search, discount, order", "@"],
        },
        Turn {
            says: "Two pine chairs are better than none.",
            calls: json!([{"name": "order", "input": {"item": pine, "customer": "Ann", "count": 2}}]),
            told: &["@"],
        },
    ]
}

/// What the model is told of a call.
fn told(result: &Result<Outcome<Json>, CallError>) -> Result<Json> {
    Ok(match result {
        Ok(outcome) => outcome.to_json()?,
        Err(error) => json!({"error": error.to_string()}),
    })
}

fn main() -> Result<()> {
    let registry = shop()?;
    println!("The agent is given these tools:");
    for tool in registry.manifest().tools {
        println!("  {} {}", tool.name, tool.input_schema["properties"]);
    }

    let agent = registry.by("agent").property("model", "scripted");
    for Turn { says, calls, told: expected } in script() {
        println!("\nagent: {says}");
        let calls: Vec<heirloom::Call> = serde_json::from_value(calls).expect("the script is written as calls");
        let shown: Vec<String> = calls.iter().map(|call| format!("{} {}", call.name, call.arguments)).collect();
        // All that is asked for in one turn is one commit; what is refused is told, and the rest is done.
        let results = agent.execute_many(calls, Commits::OneForAll);
        for ((call, result), expected) in shown.iter().zip(&results).zip(expected) {
            println!("  {call}");
            let answer = told(result)?;
            match &answer["error"] {
                Json::String(why) => println!("    refused: {why}"),
                _ => println!("    gave {}", answer["value"]),
            }
            assert!(answer.to_string().contains(expected), "{answer} was to tell {expected}");
        }
        if let Some(Ok(outcome)) = results.iter().find(|result| result.is_ok()) {
            outcome.changes().to_string().lines().for_each(|line| println!("    changed: {line}"));
        }
    }

    println!("\nWhat the agent did:");
    for entry in registry.history().entries() {
        let entry = entry?;
        let Some(run) = entry.run().filter(|_| entry.author() == Some("agent")) else { continue };
        let calls: Vec<String> = run.parts().iter().map(|part| part.callable.clone()).collect();
        println!("  {} {}: {:?}, {} versions", entry.position(), run.callable(), run.end(), entry.version_count());
        calls.iter().for_each(|call| println!("      {call}"));
    }
    println!("\nThe oak chair:\n{}", registry.history().of(id::<Item>("oak chair"))?);
    let left: Vec<u32> = registry.get(id::<Shop>("shop"))?.items.iter().map(|item| item.stock).collect();
    assert_eq!(left, [1, 0, 8]);
    Ok(())
}
